"""What holds for every test."""

import pytest

collect_ignore = ["cluster"]
"""It needs clusters: `make test-cluster` names it, and what is named is collected all the same."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray come last, on one worker: two heads at a time starve each other on a small machine."""
    items.sort(key=_starts_ray)
    for item in items:
        if _starts_ray(item):
            item.add_marker(pytest.mark.xdist_group("ray"))


@pytest.fixture(autouse=True)
def _of_nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes what the user who runs it has configured or cached."""
    place = tmp_path_factory.getbasetemp()
    for name in ("CONFIG", "URL", "NAMESPACE", "USER", "CONTEXT", "CA_FILE"):
        monkeypatch.delenv(f"DARTJOBS_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))


def _starts_ray(item: pytest.Item) -> bool:
    return item.get_closest_marker("ray") is not None
