"""What runs in the head: one file, so that it can be handed to any Python 3.9 or later."""

from pathlib import Path

RUNNER = Path(__file__).with_name("runner.py")
"""The runner itself."""
