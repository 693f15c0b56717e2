"""Ends with a code of its own."""

import sys

print("about to exit with 3", flush=True)
sys.exit(3)
