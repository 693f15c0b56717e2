"""What holds for every test."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start Ray come last, on one worker: two heads at a time starve each other on a small machine."""
    items.sort(key=_starts_ray)
    for item in items:
        if _starts_ray(item):
            item.add_marker(pytest.mark.xdist_group("ray"))


def _starts_ray(item: pytest.Item) -> bool:
    return item.get_closest_marker("ray") is not None
