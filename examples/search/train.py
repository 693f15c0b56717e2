"""A hyper-parameter search: every candidate is a Ray task, cross-validated on scikit-learn's handwritten digits.

    dartjobs submit --name search --cpu 2 --follow -- python train.py

Nothing here knows where it runs: inside a job `ray.init()` finds the job's Ray cluster, and on a laptop it starts one.
"""

import argparse
import logging
from random import Random
from typing import Any

import numpy as np
import ray
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

FOLDS = 5
Numbers = np.ndarray[Any, np.dtype[Any]]


@ray.remote(num_cpus=1)
def evaluate(candidate: dict[str, float], images: Numbers, digits: Numbers) -> tuple[dict[str, float], float]:
    """The candidate with its mean accuracy over the folds."""
    return candidate, float(cross_val_score(SVC(**candidate), images, digits, cv=FOLDS).mean())


def candidates(count: int, seed: int) -> list[dict[str, float]]:
    """Points of the search space, log-uniform in both parameters; the same for the same seed."""
    random = Random(seed)
    return [{"C": 10 ** random.uniform(-1, 2), "gamma": 10 ** random.uniform(-5, -2)} for _ in range(count)]


def search(count: int, seed: int) -> tuple[dict[str, float], float]:
    """The best candidate and its score, with a line for each candidate as it finishes."""
    images, digits = (ray.put(part) for part in load_digits(return_X_y=True))
    running = [evaluate.remote(candidate, images, digits) for candidate in candidates(count, seed)]
    best: tuple[dict[str, float], float] = ({}, 0.0)
    for number in range(1, count + 1):
        finished, running = ray.wait(running)
        candidate, score = ray.get(finished[0])
        best = max(best, (candidate, score), key=lambda one: one[1])
        print(f"[{number:2}/{count}] score {score:.4f}  {shown(candidate)}  best {best[1]:.4f}", flush=True)
    return best


def shown(candidate: dict[str, float]) -> str:
    """The candidate, to be read by people."""
    return "  ".join(f"{name}={value:.4g}" for name, value in candidate.items())


def main() -> None:
    """Search, and print the best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    ray.init(logging_level=logging.ERROR)
    print(f"{arguments.candidates} candidates on {ray.cluster_resources().get('CPU', 0):g} CPUs", flush=True)
    candidate, score = search(arguments.candidates, arguments.seed)
    print(f"best score: {score:.4f}  {shown(candidate)}", flush=True)


if __name__ == "__main__":
    main()
