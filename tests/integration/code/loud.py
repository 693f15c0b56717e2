"""Prints 50 MB that can be checked line by line."""

import sys

for number in range(500_000):
    sys.stdout.write(f"{number:09} {'x' * 89}\n")
