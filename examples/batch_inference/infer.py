"""Batch inference: Ray Data reads Parquet files, runs a model over them in batches, and the predictions are counted.

    dartjobs submit --name inference --cpu 2 --follow -- python infer.py

The files are made first, from scikit-learn's handwritten digits, so that nothing has to be downloaded. With more than
one node, put them where every node can read them: `--data s3://bucket/digits`.
"""

import argparse
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FILES = 4
TRAINED_ON = 1_000
"""Images, the first of the set; the others are what the model has not seen."""

Batch = dict[str, np.ndarray[Any, np.dtype[Any]]]


class Classifier:
    """Holds the model; Ray Data makes one in each of its workers."""

    def __init__(self, model: Pipeline) -> None:
        self.model = model

    def __call__(self, batch: Batch) -> Batch:
        """The batch's digits with what the model takes them for."""
        predicted = self.model.predict(np.stack(list(batch["pixels"])))
        return {"digit": batch["digit"], "predicted": predicted, "right": predicted == batch["digit"]}


def write_parquet(folder: Path) -> None:
    """What the model has not seen, in several files, each image a row."""
    images, digits = load_digits(return_X_y=True)
    for number, rows in enumerate(np.array_split(np.arange(TRAINED_ON, len(digits)), FILES)):
        table = pa.table({"pixels": images[rows].tolist(), "digit": digits[rows]})
        pq.write_table(table, folder / f"part-{number}.parquet")
        print(f"wrote part-{number}.parquet: {len(rows)} images", flush=True)


def train() -> Pipeline:
    """A small model, trained on the first images."""
    images, digits = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000))
    return model.fit(images[:TRAINED_ON], digits[:TRAINED_ON])


def infer(folder: str) -> tuple[int, int]:
    """How many images were read, and how many of them the model got right."""
    predictions = ray.data.read_parquet(folder).map_batches(
        Classifier, fn_constructor_args=(train(),), batch_size=128, compute=ray.data.ActorPoolStrategy(size=1)
    )
    images = right = 0
    for batch in predictions.iter_batches(batch_size=256):
        images, right = images + len(batch["right"]), right + int(batch["right"].sum())
        print(f"{images} images, {right} right", flush=True)
    return images, right


def main() -> None:
    """Write the files, run the model over them, and print its accuracy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="Parquet files that are there already.")
    given = parser.parse_args().data
    ray.init(logging_level=logging.ERROR, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    with tempfile.TemporaryDirectory() as folder:
        if given is None:
            write_parquet(Path(folder))
        images, right = infer(given or folder)
    print(f"accuracy: {right / images:.4f} on {images} images", flush=True)


if __name__ == "__main__":
    main()
