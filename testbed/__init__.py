"""Real database and Redis servers on this machine's loopback, for tests and benchmarks. Needs only Python and apt."""
