import pytest

from dartjobs import ConnectionFailedError, DartJobsError, NotFoundError, UnavailableError
from dartjobs.client.effects import Lost, Reply, Request
from dartjobs.client.errors import RefusedError
from dartjobs.client.patience import Outage, send
from dartjobs.models.problem import NotFoundError as Missing
from tests.fakes.flows import BROKEN, REFUSED, Answer, Driver, forever

GET = Request("GET", "/x")
OK = Reply(200, {}, b"{}")
BUSY = Reply(503, {"retry-after": "3"}, UnavailableError("not now").problem().json().encode())


def test_a_server_that_never_answered_is_given_up_soon() -> None:
    driver = Driver()
    with pytest.raises(ConnectionFailedError, match=r"Cannot reach http://server .*refused.*dartjobs up"):
        driver.run(send(GET, driver.patience()), forever(REFUSED))
    assert sum(driver.slept) == pytest.approx(1.0)


def test_a_hiccup_is_passed_over() -> None:
    driver = Driver()
    assert driver.run(send(GET, driver.patience()), [REFUSED, BROKEN, OK]) == OK


def test_a_busy_server_is_asked_again_when_it_said() -> None:
    driver = Driver()
    assert driver.run(send(GET, driver.patience()), [BUSY, BUSY, OK]) == OK
    assert driver.slept == [3.0, 3.0]


def test_a_busy_server_is_given_up_with_its_own_words() -> None:
    driver = Driver()
    with pytest.raises(UnavailableError, match="not now"):
        driver.run(send(GET, driver.patience()), forever(BUSY))
    assert sum(driver.slept) == pytest.approx(10.0)


def test_a_server_that_was_there_is_waited_for_a_minute() -> None:
    driver = Driver()
    outage = Outage(driver.patience())
    driver.run(send(GET, driver.patience(), outage), [OK])
    with pytest.raises(ConnectionFailedError, match="for 60 s"):
        driver.run(send(GET, driver.patience(), outage), forever(REFUSED))
    assert sum(driver.slept) == pytest.approx(60.0)
    assert max(driver.slept) <= 2.5


def test_an_outage_that_two_connections_notice_is_told_once() -> None:
    driver = Driver()
    patience = driver.patience()
    early, late = Outage(patience), Outage(patience)
    for outage in (early, late):
        driver.run(send(GET, patience, outage), [OK])
    driver.run(send(GET, patience, early), [REFUSED, OK])
    driver.run(send(GET, patience, late), [BROKEN, OK])
    assert [text.rsplit(maxsplit=2)[1:] for text in driver.warned] == [["trying", "again"], ["answers", "again"]]


def test_a_server_that_stays_away_after_a_short_return_is_told_anew() -> None:
    driver = Driver()
    patience = driver.patience()
    outage = Outage(patience)
    driver.run(send(GET, patience, outage), [OK])
    driver.run(send(GET, patience, outage), [REFUSED, OK])
    assert len(driver.warned) == 2
    driver.run(send(GET, patience, outage), [REFUSED] * 8 + [OK])
    assert len(driver.warned) == 4


def test_a_server_that_answered_once_is_no_wrong_address() -> None:
    driver = Driver()
    patience = driver.patience()
    driver.run(send(GET, patience), [OK])
    with pytest.raises(ConnectionFailedError):
        driver.run(send(GET, patience), forever(REFUSED))
    assert sum(driver.slept) == pytest.approx(10.0)


@pytest.mark.parametrize("lost", [BROKEN, BUSY, Reply(502, {}, b"<html>"), Reply(504, {}, b"")])
def test_a_server_that_took_a_request_is_asked_again_for_ten_seconds(lost: Answer) -> None:
    driver = Driver()
    with pytest.raises(DartJobsError):
        driver.run(send(GET, driver.patience()), forever(lost))
    assert sum(driver.slept) == pytest.approx(10.0)


def test_what_no_second_try_can_mend_is_told_at_once() -> None:
    driver = Driver()
    with pytest.raises(ConnectionFailedError, match="not trusted"):
        driver.run(send(GET, driver.patience()), [Lost("its certificate is not trusted", delivered=False, final=True)])
    assert driver.slept == []


def test_an_error_carries_its_class_its_fields_and_the_id_of_its_request() -> None:
    driver = Driver()
    body = Missing("There is no job x.").problem().json().encode()
    with pytest.raises(NotFoundError, match="no job x") as caught:
        driver.run(send(GET, driver.patience()), [Reply(404, {"x-request-id": "req-7"}, body)])
    assert caught.value.request_id == "req-7"


def test_a_refusal_of_a_newer_server_is_no_fault_of_it() -> None:
    driver = Driver()
    body = b'{"type": "x", "title": "x", "status": 409, "code": "new-in-2031", "detail": "Not on a Sunday."}'
    with pytest.raises(RefusedError, match="Not on a Sunday"):
        driver.run(send(GET, driver.patience()), [Reply(409, {}, body)])


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"", b'{"detail": 1}', b"\xff"])
def test_what_is_no_server_of_ours_is_told_as_such(body: bytes) -> None:
    driver = Driver()
    with pytest.raises(DartJobsError, match="http://server answered 500, not as a DART Jobs server does"):
        driver.run(send(GET, driver.patience()), [Reply(500, {}, body)])
