"""Writes each start of itself into a ledger, then counts aloud for a while, inside Ray."""

import os
import sys
import time
from pathlib import Path

import ray

with Path(sys.argv[1]).open("a") as ledger:
    ledger.write(f"{os.environ['DARTJOBS_JOB_ID']} {os.environ['DARTJOBS_ATTEMPT']} {os.getpid()}\n")

ray.init(log_to_driver=False)


@ray.remote
def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


for number in range(int(sys.argv[2])):
    print(f"line {number} {ray.get(double.remote(number))}", flush=True)
    time.sleep(0.2)
print("the end", flush=True)
