"""A range block by block: where it is cut, what comes, what becomes of the connection."""

import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs import Racs, RacsProtocolError, RacsReplyLost, RacsServerError, RacsValueError
from racs.extract import checked_range, cut
from racs.wire import Vector, encode_reply
from racs.wire.replies import encode_error

from .fake_server import FakeServer, HangUp

SAMPLES = np.arange(1_000_000, dtype=np.int32)


@pytest.fixture
def stream(server: FakeServer) -> FakeServer:
    info = server.add("a").info
    info["ref"], info["size"] = 1000, SAMPLES.size * 2
    server.replies["EXTRACT 'a' 0 5000"] = encode_reply(Vector("s32v", SAMPLES.tobytes()))
    return server


@pytest.mark.parametrize("block_frames", [1 << 20, 500_000, 65_536, 999])
def test_blocks_are_the_range(stream: FakeServer, r: Racs, block_frames: int) -> None:
    blocks = list(r.extract_blocks("a", 0, 5000, block_frames=block_frames))
    assert np.array_equal(np.concatenate(blocks), SAMPLES)
    assert {len(block) for block in blocks[:-1]} <= {block_frames * 2}
    assert all(block.dtype == np.int32 and block.flags.writeable for block in blocks)
    assert r.execute_command("PING") == "PONG"
    assert stream.accepted == 1


@pytest.mark.parametrize("size", [0, 4, 252, 256, 65_536])
def test_short_replies(stream: FakeServer, r: Racs, size: int) -> None:
    samples = SAMPLES[: size // 4]
    stream.replies["EXTRACT 'a' 1 2"] = encode_reply(Vector("s32v", samples.tobytes()))
    blocks = list(r.extract_blocks("a", 1, 2, block_frames=7))
    assert sum(map(len, blocks)) == len(samples)
    assert not blocks or np.array_equal(np.concatenate(blocks), samples)
    assert r.execute_command("PING") == "PONG"
    assert stream.accepted == 1


def test_an_iterator_that_is_given_up_has_its_connection_closed(
    stream: FakeServer, r: Racs
) -> None:
    blocks = r.extract_blocks("a", 0, 5000, block_frames=10)
    assert next(blocks).tolist() == list(range(20))
    assert r.statistics().busy == 1
    del blocks
    assert (r.statistics().busy, r.statistics().discarded) == (0, 1)
    assert r.execute_command("PING") == "PONG"


def test_errors(stream: FakeServer, r: Racs) -> None:
    with pytest.raises(RacsValueError, match="block_frames must be 1 or more, not 0"):
        r.extract_blocks("a", 0, 1, block_frames=0)
    with pytest.raises(RacsServerError, match="cannot run INFO 'nope'"):
        next(r.extract_blocks("nope", 0, 1))
    stream.replies["EXTRACT 'a' 1 2"] = encode_error("it is damaged")
    with pytest.raises(RacsServerError, match="it is damaged"):
        next(r.extract_blocks("a", 1, 2))
    assert r.execute_command("PING") == "PONG"
    assert stream.accepted == 1
    stream.replies["EXTRACT 'a' 1 2"] = encode_reply("PONG")
    with pytest.raises(RacsProtocolError, match="a str where audio was due"):
        next(r.extract_blocks("a", 1, 2))


def test_a_reply_that_breaks_off(stream: FakeServer, r: Racs) -> None:
    def reply() -> bytes:
        raise HangUp(encode_reply(Vector("s32v", SAMPLES.tobytes()))[:1000])

    stream.replies["EXTRACT 'a' 1 2"] = reply
    blocks = r.extract_blocks("a", 1, 2, block_frames=10)
    assert next(blocks).tolist() == list(range(20))
    with pytest.raises(RacsReplyLost, match="smaller ranges"):
        list(blocks)


def instant(text: str) -> Fraction:
    """Return milliseconds since the epoch."""
    if text.lstrip("-").isdigit():
        return Fraction(int(text))
    moment = datetime.fromisoformat(text)
    return Fraction((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 1000)


@given(
    start=st.integers(0, 10**10),
    length=st.integers(0, 10**11),
    rate=st.integers(1, 768_000),
    channels=st.integers(1, 32),
    frames=st.integers(0, 2**40),
)
def test_a_long_range_is_cut_into_replies(
    start: int, length: int, rate: int, channels: int, frames: int
) -> None:
    ref = 10**9
    range_ = checked_range("a", start, start + length, 1)
    frames = min(frames, rate * 86_400 * 365 * 20)
    pieces = cut(range_, rate, channels, ref, frames)

    def frame_at(text: str) -> int:
        """Return the first sample frame that is not before an instant."""
        return min(max(-(-(instant(text) - ref) * rate // 1000), 0), frames)

    edges = [frame_at(frm) for frm, _ in pieces] + [frame_at(pieces[-1][1])]
    assert all(frm == to for (_, frm), (to, _) in itertools.pairwise(pieces))
    assert edges[0] == frame_at(str(start))
    assert edges[-1] == frame_at(str(start + length))
    for first, stop in itertools.pairwise(edges):
        assert (stop - first) * channels * 4 < 2**32
    if len(pieces) > 1:
        assert (edges[1] - edges[0]) * channels * 4 > 2**32 * 0.9
