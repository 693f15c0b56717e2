"""Only what came, changed or went is worth a look."""

from dartjobs.drivers.base import Held
from dartjobs.sync.survey import Survey


def test_what_came_changed_or_went_since_the_last_time() -> None:
    survey = Survey()
    assert survey.changed([Held("same", "c", "h"), Held("dies", "c", "h"), Held("goes", "c")]) == set()
    assert survey.changed([Held("same", "c", "h"), Held("dies", "c"), Held("comes")]) == {"dies", "goes", "comes"}
    assert survey.changed([Held("same", "c", "h"), Held("dies", "c"), Held("comes")]) == set()
