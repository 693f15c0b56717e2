"""Hints that make things quick, never truth: losing any of them costs only time."""
