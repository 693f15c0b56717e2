"""At most one look at a time for each attempt; what comes during a look leads to another."""

from datetime import timedelta

from dartjobs.store.wakeups import Wakeup
from dartjobs.sync.agenda import Agenda

NOW, LATER = timedelta(0), timedelta(hours=1)


def test_what_is_due_is_taken_once_and_again_when_it_is_due_again() -> None:
    agenda = Agenda()
    agenda.add("a")
    agenda.add("a")
    assert agenda.take_due() == ["a"]
    agenda.add("a")
    assert agenda.take_due() == []
    agenda.done("a", LATER)
    assert agenda.take_due() == ["a"]
    agenda.done("a", LATER)
    assert agenda.take_due() == []
    agenda.ensure("a")
    assert agenda.take_due() == []
    agenda.add("a")
    assert agenda.take_due() == ["a"]
    agenda.done("a", None)
    agenda.ensure("a")
    assert agenda.take_due() == ["a"]


def test_a_wakeup_that_is_read_again_while_its_row_is_deleted_is_no_news() -> None:
    agenda, first, second = Agenda(), Wakeup("a", "1"), Wakeup("a", "2")
    agenda.add("a", first)
    assert agenda.take_due() == ["a"]
    assert agenda.wakeup_of("a") == first
    agenda.answered(first)
    agenda.done("a", LATER)
    agenda.add("a", first)
    assert agenda.take_due() == []
    agenda.add("a", second)
    agenda.forget(first)
    assert agenda.take_due() == ["a"]
    assert agenda.wakeup_of("a") == second
    agenda.done("a", LATER)


def test_a_wakeup_whose_row_could_not_be_deleted_leads_to_another_look() -> None:
    agenda, wakeup = Agenda(), Wakeup("a", "1")
    agenda.add("a", wakeup)
    agenda.take_due()
    agenda.answered(wakeup)
    agenda.done("a", LATER)
    agenda.forget(wakeup)
    agenda.add("a", wakeup)
    assert agenda.take_due() == ["a"]


def test_no_more_than_so_many_are_looked_at_together() -> None:
    agenda = Agenda(most=2)
    for one in "abc":
        agenda.add(one)
    assert agenda.take_due() == ["a", "b"]
    assert agenda.take_due() == []
    agenda.done("a", LATER)
    assert agenda.take_due() == ["c"]
    agenda.done("b", NOW)
    assert agenda.take_due() == ["b"]
