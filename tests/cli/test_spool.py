"""What a recording holds until the server has it."""

import threading
from collections.abc import Iterator

import pytest

from racs.cli.spool import Spool


@pytest.fixture
def spool() -> Iterator[Spool]:
    made = Spool(memory=10)
    yield made
    made.close()


def read(spool: Spool, place: int) -> bytes:
    return b"".join(spool.read_from(place))


def test_bytes_come_out_as_they_went_in_from_any_place_and_again(spool: Spool) -> None:
    for data in (b"abcd", b"", b"efgh", b"ij", b"klmnop", b"q"):
        spool.put(data)
    spool.finish()
    assert "7 on disk" in repr(spool)
    for place in range(18):
        assert read(spool, place) == b"abcdefghijklmnopq"[place:]
    assert spool.peek(3, 12) == b"defghijkl"


def test_what_is_released_is_gone_and_makes_room_in_memory(spool: Spool) -> None:
    for data in (b"abcd", b"efgh", b"ijkl", b"mnop"):
        spool.put(data)
    spool.release(7)
    assert (spool.base, spool.end) == (4, 16)
    spool.release(8)
    spool.put(b"qr")
    assert "8 on disk" in repr(spool)
    spool.release(16)
    spool.put(b"st")
    spool.finish()
    assert "0 on disk" in repr(spool)
    assert read(spool, 16) == b"qrst"
    with pytest.raises(LookupError, match="byte 15 is not held"):
        next(spool.read_from(15))
    with pytest.raises(LookupError):
        next(spool.read_from(21))


def test_who_reads_waits_for_what_comes_and_is_told_when_nothing_does(spool: Spool) -> None:
    pieces = spool.read_from(0)
    assert next(pieces) == b""
    spool.put(b"ab")
    assert next(pieces) == b"ab"
    timer = threading.Timer(0.01, spool.finish)
    timer.start()
    assert b"".join(pieces) == b""
    timer.join()
    spool.put(b"late")
    assert spool.end == 2
