import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.ray
@pytest.mark.parametrize(
    ("program", "figure"),
    [("search/train.py", r"^best score: (0\.\d+)"), ("batch_inference/infer.py", r"^accuracy: (0\.\d+)")],
)
def test_an_example_runs_without_the_platform_too(program: str, figure: str) -> None:
    """`ray.init()` starts a Ray of its own where no job gives it one."""
    path = EXAMPLES / program
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DARTJOBS_", "RAY_"))}
    ran = subprocess.run(
        [sys.executable, path.name], cwd=path.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = re.search(figure, ran.stdout, re.MULTILINE)
    assert found is not None, ran.stdout
    assert float(found[1]) > 0.9
