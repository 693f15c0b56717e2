import json
import os
import pty

from dartjobs.models.state import JobState
from tests.fakes.api import FakeApi
from tests.unit.cli.conftest import Run, Start


def labelled(api: FakeApi, *values: str) -> list[str]:
    return [api.add(labels={"team": value}).id for value in values]


def stopped(api: FakeApi) -> list[str]:
    return [job_id for job_id, known in api.jobs.items() if known.job.stop is not None]


def test_only_what_matches_and_is_not_finished_is_stopped(api: FakeApi, run: Run) -> None:
    ids = labelled(api, "a", "a", "b", "a")
    api.end(ids[3], JobState.FAILED)
    api.stop_page = 1
    dry = run("stop", "-l", "team=a", "--dry-run", "-o", "json")
    assert ([one["id"] for one in json.loads(dry.stdout)], stopped(api)) == ([ids[1], ids[0]], [])
    result = run("stop", "-l", "team=a", "--yes", "--reason", "enough", "-o", "name")
    assert (result.exit_code, result.stdout.split()) == (0, [ids[1], ids[0]])
    assert "Asked 2 jobs to stop." in result.stderr
    assert stopped(api) == ids[:2]
    assert run("stop", "--all", "-y").exit_code == 0
    assert stopped(api) == ids[:3]


def test_nobody_is_asked_without_a_terminal(api: FakeApi, run: Run) -> None:
    labelled(api, "a")
    result = run("stop", "-l", "team=a")
    assert (result.exit_code, "say --yes" in result.stderr, stopped(api)) == (2, True, [])


def test_nothing_or_both_is_a_usage_error(api: FakeApi, run: Run) -> None:
    (job_id,) = labelled(api, "a")
    assert run("stop").exit_code == 2
    assert run("stop", job_id, "-l", "team=a").exit_code == 2
    assert run("stop", "-l", "team in (").exit_code == 65
    assert stopped(api) == []


def test_on_a_terminal_it_asks_and_takes_no_for_an_answer(api: FakeApi, start: Start) -> None:
    labelled(api, "a", "a")
    for answer, count in ((b"n\n", 0), (b"y\n", 2)):
        mine, theirs = pty.openpty()
        process = start("stop", "-l", "team=a", "-o", "name", stdin=theirs)
        os.close(theirs)
        os.write(mine, answer)
        _, err = process.communicate(timeout=30)
        os.close(mine)
        assert b"Stop 2 jobs?" in err
        assert len(stopped(api)) == count
        assert process.returncode == (0 if count else 1)
