"""Real Ray clusters on this machine."""
