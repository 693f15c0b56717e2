"""What is run again, and for how long."""

import sqlite3

import pytest
from asyncmy import errors
from sqlalchemy.exc import DBAPIError

from dartjobs.store.failures import Failure, Patience, failure_of

PATIENCE = Patience(seconds=10.0)


def of(cause: BaseException, *, invalidated: bool = False) -> Failure:
    return failure_of(DBAPIError("SELECT 1", {}, cause, connection_invalidated=invalidated))


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (1020, Failure.CONFLICT),
        (1205, Failure.CONFLICT),
        (1213, Failure.CONFLICT),
        (1290, Failure.READ_ONLY),
        (1792, Failure.READ_ONLY),
        (1836, Failure.READ_ONLY),
        (2006, Failure.LOST),
        (2013, Failure.LOST),
        (2014, Failure.LOST),
        (1927, Failure.LOST),
        (1062, Failure.DUPLICATE),
        (1045, Failure.UNAVAILABLE),
        (1064, Failure.FAULT),
        (1406, Failure.FAULT),
        (0, Failure.LOST),
    ],
)
def test_an_error_of_mysql_is_judged_by_its_number(number: int, failure: Failure) -> None:
    assert of(errors.OperationalError(number, "whatever it says")) is failure


def test_an_unknown_error_on_a_connection_that_is_gone_is_a_lost_connection() -> None:
    assert of(errors.OperationalError(9_999, ""), invalidated=True) is Failure.LOST
    assert of(errors.OperationalError(9_999, "")) is Failure.FAULT


def test_an_error_of_sqlite_is_judged_by_its_code() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
    found = []
    for statement in (
        "INSERT INTO t VALUES (1, 'x'), (1, 'y')",
        "INSERT INTO t VALUES (1, NULL)",
        "SELECT * FROM absent",
        "SELEC",
    ):
        with pytest.raises(sqlite3.Error) as raised:
            connection.execute(statement)
        found.append(of(raised.value))
    connection.close()
    assert found == [Failure.DUPLICATE, Failure.FAULT, Failure.UNAVAILABLE, Failure.FAULT]


def test_a_lost_connection_is_replaced_at_once_and_a_lost_server_is_waited_for() -> None:
    assert PATIENCE.delay(Failure.LOST, 1, 0.0, 0.9) == 0.0
    delays = [PATIENCE.delay(Failure.LOST, run, 0.0, 0.5) for run in range(2, 9)]
    assert delays == [0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]


@pytest.mark.parametrize("failure", [Failure.CONFLICT, Failure.LOST, Failure.READ_ONLY])
def test_no_run_begins_after_the_time_is_over(failure: Failure) -> None:
    assert PATIENCE.delay(failure, 3, 9.9, 0.1) is not None
    assert PATIENCE.delay(failure, 3, 10.0, 0.1) is None


def test_a_duplicate_is_tried_a_few_times_and_a_fault_never() -> None:
    assert [PATIENCE.delay(Failure.DUPLICATE, run, 0.0, 0.0) for run in (1, 2, 3)] == [0.0, 0.0, None]
    assert PATIENCE.delay(Failure.FAULT, 1, 0.0, 0.0) is None
    assert PATIENCE.delay(Failure.UNAVAILABLE, 1, 0.0, 0.0) is None
