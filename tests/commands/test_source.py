"""From audio plans to samples, and the longest audio that is one reply."""

import numpy as np
import pytest

from racs_server.commands import check_reply_size, iter_blocks
from racs_server.errors import LimitError
from racs_server.values import AudioFormat, StreamRange
from tests.commands.memory_store import PIECE, MemoryStore


@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_plan_is_read_exactly_in_blocks_of_bounded_size(depth: int, channels: int) -> None:
    store = MemoryStore()
    store.create("a", AudioFormat(48000, channels, depth))
    samples = np.random.default_rng(1).integers(
        -(2 ** (depth - 1)), 2 ** (depth - 1), 300_000 * channels, np.int32
    )
    store.record("a", 0, samples)
    blocks = list(iter_blocks(store, store.plan("a", 7, 299_999)))
    assert all(block.dtype == np.int32 for block in blocks)
    assert max(block.size for block in blocks) <= PIECE // (depth // 8)
    assert np.array_equal(np.concatenate(blocks), samples[7 * channels : 299_999 * channels])


def test_an_empty_plan_has_no_blocks() -> None:
    store = MemoryStore()
    store.create("a", AudioFormat(48000, 2, 24))
    assert list(iter_blocks(store, store.plan("a", 0, 0))) == []


def test_the_longest_reply() -> None:
    stereo = AudioFormat(44100, 2, 16)
    most = (2**32 - 1) // 8
    check_reply_size(StreamRange("chopin", 1, 5, 5 + most, stereo))
    with pytest.raises(LimitError) as caught:
        check_reply_size(StreamRange("chopin", 1, 5, 5 + most + 1, stereo))
    assert str(caught.value).startswith(
        "3:22:54 of 'chopin' was asked for, but one reply holds at most 3:22:53 at 44100 Hz,"
        " 2 channels, 16 bit (4 GiB of 32-bit samples): ask for ranges of at most that length"
    )
