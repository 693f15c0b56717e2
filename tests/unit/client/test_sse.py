import pytest

from dartjobs.client.sse import Event, Parser

STREAM = (
    b': hello\r\n\r\nevent: transition\nid: 1.2\ndata: {"a":\ndata: 1}\n\n'
    b"data: plain\r\rretry: 5\nevent: job\r\ndata:no space\r\n\r\nevent: empty\n\ndata: cut off"
)
EVENTS = [Event("transition", '{"a":\n1}', "1.2"), Event("message", "plain", "1.2"), Event("job", "no space", "1.2")]


@pytest.mark.parametrize("at", range(len(STREAM) + 1))
def test_events_are_the_same_wherever_the_stream_is_cut(at: int) -> None:
    parser = Parser()
    assert [*parser.feed(STREAM[:at]), *parser.feed(STREAM[at:])] == EVENTS


def test_events_are_the_same_byte_by_byte() -> None:
    parser = Parser()
    assert [event for byte in STREAM for event in parser.feed(bytes([byte]))] == EVENTS
