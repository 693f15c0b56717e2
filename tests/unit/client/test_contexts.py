from pathlib import Path

import pytest

from dartjobs import InvalidRequestError
from dartjobs.client.config import DEFAULT_URL, resolve
from dartjobs.client.contexts import config_path

FILE = """
current = "dev"
[contexts.dev]
url = "http://dev:1/"
namespace = "of-dev"
user = "dora"
[contexts.prod]
url = "https://prod"
ca_file = "~/ca.pem"
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    return {"DARTJOBS_CONFIG": str(path), "DARTJOBS_DATA_DIR": str(tmp_path)}


def test_the_current_context_goes_below_the_environment_and_that_below_arguments(environ: dict[str, str]) -> None:
    found = resolve(environ=environ)
    assert (found.url, found.namespace, found.user, found.context) == ("http://dev:1", "of-dev", "dora", "dev")
    said = environ | {"DARTJOBS_URL": "http://env:2", "DARTJOBS_NAMESPACE": "env", "DARTJOBS_USER": "eve"}
    found = resolve(environ=said)
    assert (found.url, found.namespace, found.user) == ("http://env:2", "env", "eve")
    found = resolve("http://arg:3", "arg", "ada", said)
    assert (found.url, found.namespace, found.user) == ("http://arg:3", "arg", "ada")


def test_a_context_that_an_argument_names_goes_over_the_environment(environ: dict[str, str]) -> None:
    said = environ | {"DARTJOBS_URL": "http://env:2", "DARTJOBS_NAMESPACE": "env", "DARTJOBS_CONTEXT": "dev"}
    found = resolve(environ=said, context="prod")
    assert (found.url, found.namespace, found.context) == ("https://prod", "env", "prod")
    assert resolve(environ=environ | {"DARTJOBS_CONTEXT": "prod"}).url == "https://prod"
    assert resolve("http://arg:3", environ=said, context="prod").url == "http://arg:3"


def test_an_authority_is_trusted_only_for_the_server_of_its_context(environ: dict[str, str]) -> None:
    assert resolve(environ=environ, context="prod").ca_file == str(Path.home() / "ca.pem")
    assert resolve("https://elsewhere", environ=environ, context="prod").ca_file is None
    assert resolve(environ=environ | {"DARTJOBS_CA_FILE": "/ca"}).ca_file == "/ca"


def test_what_up_left_comes_last(tmp_path: Path) -> None:
    left = {"DARTJOBS_CONFIG": str(tmp_path / "none"), "DARTJOBS_DATA_DIR": str(tmp_path)}
    assert resolve(environ=left).url == DEFAULT_URL
    (tmp_path / "url").write_text("http://127.0.0.1:5")
    assert (resolve(environ=left).url, resolve(environ=left).context) == ("http://127.0.0.1:5", None)


def test_a_context_that_is_not_there_is_told_with_those_that_are(environ: dict[str, str]) -> None:
    with pytest.raises(InvalidRequestError, match=r"no context 'x'.*there are dev, prod"):
        resolve(environ=environ, context="x")


def test_the_file_follows_the_xdg_convention() -> None:
    assert config_path({"DARTJOBS_CONFIG": "/a", "XDG_CONFIG_HOME": "/b"}) == Path("/a")
    assert config_path({"XDG_CONFIG_HOME": "/b"}) == Path("/b/dartjobs/config.toml")
    assert config_path({}) == Path.home() / ".config/dartjobs/config.toml"
