"""What holds for every conformance suite."""

from tests.fakes.engines import SERVERS

collect_ignore = [] if SERVERS else ["test_store_sessions.py"]
"""Of what only servers do: see docs/testbed.md."""
