import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dartjobs.cli.main import cli
from dartjobs.models.problem import DartJobsError

Up = Callable[..., None]


def run(monkeypatch: pytest.MonkeyPatch, up: Up, *args: str) -> Result:
    """With servers that do as `up` does, in the place of real ones."""
    embedded = ModuleType("dartjobs.cli.servers.embedded")
    embedded.up = up  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, "dartjobs.cli.servers.embedded", embedded)
    return CliRunner().invoke(cli, ["up", *args], env={"DARTJOBS_DATA_DIR": "/data"})


def test_the_address_goes_to_stdout_once_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def up(*, on_ready: Callable[[str], None], **given: Any) -> None:
        asked.update(given)
        on_ready("http://127.0.0.1:1")

    result = run(monkeypatch, up, "--port", "0")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "http://127.0.0.1:1\n", "")
    assert asked == {"data_dir": Path("/data"), "host": "127.0.0.1", "port": 0, "allow_unauthenticated": False}


def test_what_up_refuses_is_told_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong_host(**_: Any) -> None:
        msg = "0.0.0.0 is not loopback"
        raise ValueError(msg)

    def taken(**_: Any) -> None:
        msg = "Port 7878 is taken."
        raise DartJobsError(msg)

    result = run(monkeypatch, wrong_host, "--host", "0.0.0.0")  # noqa: S104 - refused
    assert (result.exit_code, "Error: 0.0.0.0 is not loopback" in result.stderr) == (2, True)
    result = run(monkeypatch, taken)
    assert (result.exit_code, result.stderr) == (70, "Error: Port 7878 is taken.\n")
