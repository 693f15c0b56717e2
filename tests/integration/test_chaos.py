"""Everything is killed at random moments, alone and together, under many jobs: each ends once (`tests.chaos`)."""

from pathlib import Path

import pytest

from tests.chaos.rounds import Plan, run
from tests.chaos.world import world_at
from tests.fakes.engines import SERVERS

_DATABASES = SERVERS[:1] or ["sqlite"]
"""MySQL, where it is there: it is killed, too."""


@pytest.mark.parametrize("database", _DATABASES)
def test_a_thousand_jobs_each_end_once(database: str, tmp_path: Path) -> None:
    with world_at(tmp_path, database=database, driver="process", redis=True, cpu=96) as world:
        report = run(world, Plan(seed=1, jobs=1_000, patience=800.0, longest=2.0, calm=6.0), print)
    assert report.faults == []


@pytest.mark.ray
@pytest.mark.parametrize("database", _DATABASES)
def test_thirty_real_ray_jobs_each_end_once(database: str, tmp_path: Path) -> None:
    with world_at(tmp_path, database=database, driver="local", redis=True, cpu=2) as world:
        plan = Plan(seed=2, jobs=30, patience=1_200.0, calm=20.0, longest_down=6.0, ray=True)
        report = run(world, plan, print)
    assert report.faults == []
