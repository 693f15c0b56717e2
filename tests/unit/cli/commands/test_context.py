import json
import os
import stat
from pathlib import Path

import pytest

from tests.fakes.api import FakeApi
from tests.fakes.server import Server
from tests.unit.cli.conftest import Run


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of contexts, in a folder that is not there yet."""
    path = tmp_path / "conf" / "config.toml"
    monkeypatch.setenv("DARTJOBS_CONFIG", str(path))
    return path


def test_contexts_are_made_chosen_shown_and_forgotten(run: Run, file: Path) -> None:
    assert run("context", "set", "dev", "--url", "http://dev:1", "-n", "team").exit_code == 0
    assert run("context", "set", "prod", "--url", "https://prod", "--user", "ada").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = json.loads(run("context", "list", "-o", "json").stdout)
    assert [(one["name"], one["current"], one["url"]) for one in found] == [
        ("dev", True, "http://dev:1"),
        ("prod", False, "https://prod"),
    ]
    assert run("context", "use", "prod").exit_code == 0
    shown = run("context", "show", env={"DARTJOBS_URL": ""}).stdout
    assert "Context    prod" in shown
    assert "URL        https://prod" in shown
    assert run("context", "delete", "prod").exit_code == 0
    assert run("context", "list", "-o", "name").stdout == "dev\n"
    assert run("context", "use", "prod").exit_code == 65
    assert [one.name for one in file.parent.iterdir()] == ["config.toml"]


def test_comments_and_order_stay(run: Run, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(
        '# mine\ncurrent = "b"  # for now\n\n[contexts.b]\nurl = "http://b"\n\n[contexts.a]\nurl = "http://a"\n'
    )
    assert run("context", "set", "a", "--namespace", "team", "--use").exit_code == 0
    text = file.read_text()
    assert text.startswith('# mine\ncurrent = "a"  # for now\n')
    assert text.index("[contexts.b]") < text.index("[contexts.a]") < text.index('namespace = "team"')
    assert run("context", "set", "a", "--namespace", "").exit_code == 0
    assert "team" not in file.read_text()


@pytest.mark.usefixtures("file")
def test_a_context_leads_a_command(api: FakeApi, server: Server, run: Run) -> None:
    job_id = api.add(namespace="team").id
    run("context", "set", "here", "--url", server.url, "--namespace", "team", "--user", "bob")
    elsewhere = {"DARTJOBS_URL": "http://127.0.0.1:9"}
    assert run("--context", "here", "list", "-o", "name", env=elsewhere).stdout == f"{job_id}\n"
    assert run("stop", job_id, "--context", "here", "-o", "name", env=elsewhere).exit_code == 0
    stop = api.jobs[job_id].job.stop
    assert stop is not None
    assert stop.by == "bob"
    unknown = run("list", "--context", "there")
    assert (unknown.exit_code, "there are here" in unknown.stderr) == (65, True)


@pytest.mark.parametrize(
    "text", ["current = [", "contexts = 3", '[contexts.a]\nurll = "x"', "[contexts.a]\nurl = 3", "other = 1"]
)
def test_a_file_that_is_not_understood_is_named(run: Run, file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    for words in (("list",), ("context", "list"), ("context", "set", "a", "--url", "http://x")):
        result = run(*words)
        assert (result.exit_code, str(file) in result.stderr, "Traceback" in result.stderr) == (65, True, False)
    assert file.read_text() == text
    assert run("context", "set", "a", "--url", "no-url", env={"DARTJOBS_CONFIG": os.devnull}).exit_code == 65
