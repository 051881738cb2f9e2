"""A message that was announced to be just bytes: whatever it holds, it is nothing else."""

import pytest

from racs.wire import Bytes, Command, FramingLost, Limits, Rejected, ServerConnection
from tests.wire.feeding import feed, message, one_by_one

PING = message(b"PING\0")
CONTENTS = [b"", b"SHUTDOWN\0", b"rsp" + bytes(40), b"\xff" * 5000, bytes(300)]


@pytest.mark.parametrize("contents", CONTENTS, ids=len)
@pytest.mark.parametrize("whole", [True, False])
def test_it_is_given_as_it_came_and_the_next_message_is_a_request(
    contents: bytes, whole: bool
) -> None:
    connection = ServerConnection(Limits(command=100, message=200))
    connection.expect_bytes(5000)
    data = message(contents) + PING + message(bytes(201))
    parts = [data] if whole else one_by_one(data)
    with pytest.raises(FramingLost, match="201 bytes"):
        feed(connection, parts)
    connection = ServerConnection(Limits(command=100, message=200))
    connection.expect_bytes(5000)
    data = message(contents) + PING
    first, second = feed(connection, [data] if whole else one_by_one(data))
    assert isinstance(first, Bytes)
    assert bytes(first.payload) == contents
    assert second == Command("PING")


@pytest.mark.parametrize("whole", [True, False])
def test_too_long_a_one_is_dropped(whole: bool) -> None:
    connection = ServerConnection()
    connection.expect_bytes(500)
    data = message(bytes(501)) + PING
    first, second = feed(connection, [data] if whole else one_by_one(data))
    assert isinstance(first, Rejected)
    assert "501 bytes; at most 500" in first.reason
    assert second == Command("PING")


def test_a_length_that_cannot_be_believed() -> None:
    connection = ServerConnection(Limits(message=1000))
    connection.expect_bytes(500)
    with pytest.raises(FramingLost, match="2001 bytes"):
        feed(connection, [message(bytes(2001))])
