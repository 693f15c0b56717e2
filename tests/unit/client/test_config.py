from pathlib import Path

import pytest

from dartjobs import InvalidRequestError
from dartjobs.client.config import DEFAULT_URL, default_data_dir, resolve


def test_the_argument_goes_over_the_environment_and_that_over_what_up_left(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://127.0.0.1:9\n")
    left_by_up = {"DARTJOBS_DATA_DIR": str(tmp_path)}
    environ = {**left_by_up, "DARTJOBS_URL": "http://env:2/", "DARTJOBS_NAMESPACE": "team"}

    assert resolve("http://arg:1", "mine", "ada", environ).url == "http://arg:1"
    assert resolve(environ=environ).url == "http://env:2"
    assert resolve(environ=left_by_up).url == "http://127.0.0.1:9"
    assert resolve(environ={"DARTJOBS_DATA_DIR": str(tmp_path / "none")}).url == DEFAULT_URL
    assert resolve("http://arg:1", "mine", "ada", environ).namespace == "mine"
    assert resolve(environ=environ).namespace == "team"
    assert resolve(environ=left_by_up).namespace == "default"


def test_the_data_dir_follows_the_xdg_convention() -> None:
    assert default_data_dir({"DARTJOBS_DATA_DIR": "/a", "XDG_DATA_HOME": "/b"}) == Path("/a")
    assert default_data_dir({"XDG_DATA_HOME": "/b"}) == Path("/b/dartjobs")
    assert default_data_dir({}) == Path.home() / ".local/share/dartjobs"


@pytest.mark.parametrize(
    "url", ["localhost:7878", "ftp://host", "http://", "7878", "http://host:78x", "http://host:78789", "http://[::1"]
)
def test_a_wrong_url_is_told_before_anything_is_sent(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="write it like http://127"):
        resolve(url, environ={})


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost:1", True),
        ("https://jobs.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_proxies_are_passed_over_on_this_machine_only(url: str, *, is_loopback: bool) -> None:
    assert resolve(url, environ={}).is_loopback is is_loopback
