"""Waveforms: pictures and pyramids against plain arithmetic on whole numbers."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.audio import pyramid as tree
from racs_server.audio.peaks import Drawing, edges
from racs_server.audio.pyramid import BLOCK_FRAMES, CELL, ENTRY, Pyramid, blocks_until, draw
from racs_server.values import AudioFormat

Samples = npt.NDArray[np.int32]


def brute(samples: Samples, points: int, depth: int) -> npt.NDArray[np.float32]:
    """Return a picture of samples of shape (frames, channels), by the definition."""
    frames, channels = samples.shape
    full = 2.0 ** (depth - 1)
    picture = np.empty((points if frames else 0, channels, 3), np.float32)
    for point in range(len(picture)):
        start = point * frames // points
        part = samples[start : max((point + 1) * frames // points, start + 1)]
        for channel in range(channels):
            lane = part[:, channel]
            total = int((lane.astype(object) ** 2).sum())
            rms = math.sqrt(total / len(lane)) / full
            picture[point, channel] = lane.min() / full, lane.max() / full, rms
    return picture


def noise(frames: int, channels: int = 2, depth: int = 24) -> Samples:
    """Return noise that grows louder, so that every stretch differs."""
    random = np.random.default_rng(frames)
    loud = np.linspace(0.01, 1, frames)[:, None] * 2 ** (depth - 1)
    signal: Samples = (random.uniform(-1, 1, (frames, channels)) * loud).astype(np.int32)
    return signal


class Kept:
    """A stream in memory, and its pyramid as far as it has been built."""

    def __init__(self, samples: Samples, format_: AudioFormat) -> None:
        self.samples = samples
        self.format = format_
        self.blocks: list[bytes] = []
        self.read_frames = 0

    def read(self, numbers: Sequence[int]) -> memoryview:
        return memoryview(b"".join(self.blocks[number] for number in numbers))

    def pyramid(self) -> Pyramid:
        return Pyramid(self.format.channels, len(self.blocks), self.read)

    def build(self) -> None:
        while (start := self.pyramid().frames) + BLOCK_FRAMES <= len(self.samples):
            lanes = np.ascontiguousarray(self.samples[start : start + BLOCK_FRAMES].T)
            self.blocks += self.pyramid().next_blocks([lanes])

    def frames(self, ranges: Sequence[tuple[int, int]]) -> Iterator[Samples]:
        for start, stop in ranges:
            self.read_frames += stop - start
            for place in range(start, stop, 10_000):
                yield self.samples[place : min(place + 10_000, stop)].reshape(-1)

    def picture(self, start: int, stop: int, points: int) -> npt.NDArray[np.float32]:
        drawing = Drawing(start, stop, points, self.format)
        draw(drawing, self.pyramid(), self.frames, self.format)
        return drawing.finish()


@pytest.fixture(scope="module")
def kept() -> Kept:
    """Seventeen blocks of the lowest level and a rest: four of the next one, one above it."""
    kept = Kept(noise(17 * BLOCK_FRAMES + 12_345), AudioFormat(48_000, 2, 24))
    kept.build()
    return kept


@pytest.mark.parametrize("known", [0, 1, 4, 5, 16])
def test_many_parts_at_once_make_the_same_blocks(kept: Kept, known: int) -> None:
    whole = kept.samples[known * BLOCK_FRAMES : 17 * BLOCK_FRAMES]
    parts = (np.ascontiguousarray(part.T) for part in np.split(whole, 17 - known))
    begun = Pyramid(2, blocks_until(known), kept.read)
    assert list(begun.next_blocks(parts)) == kept.blocks[blocks_until(known) :]


# ----------------------------------------------------------------------------- from samples


@pytest.mark.parametrize("points", [1, 2, 3, 7, 100, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("cut", [1, 997, 100_000])
def test_a_picture_from_samples(points: int, cut: int) -> None:
    format_ = AudioFormat(8000, 3, 16)
    samples = noise(1000, 3, 16)
    drawing = Drawing(0, 1000, points, format_)
    for start in range(0, 1000, cut):
        drawing.add(start, samples[start : start + cut].reshape(-1))
    assert np.array_equal(drawing.finish(), brute(samples, points, 16))


def test_of_no_audio_there_is_no_point() -> None:
    assert Drawing(5, 5, 10, AudioFormat(8000, 2, 16)).finish().shape == (0, 2, 3)


def test_full_scale_is_one() -> None:
    drawing = Drawing(0, 4, 1, AudioFormat(8000, 1, 16))
    drawing.add(0, np.array([-32768, 16384, -32768, 16384], np.int32))
    assert drawing.finish().tolist() == [[[-1, 0.5, np.float32(math.sqrt(0.625))]]]


def test_sums_of_squares_outgrow_64_bits() -> None:
    frames = 3 << 17
    drawing = Drawing(0, frames, 1, AudioFormat(8000, 1, 24))
    drawing.add(0, np.full(frames, -(2**23), np.int32))
    assert drawing.finish().tolist() == [[[-1, -1, 1]]]


@given(st.integers(1, 2**50), st.integers(1, 2000))
def test_points_are_floors(frames: int, points: int) -> None:
    points = min(frames, points)
    assert edges(frames, points).tolist() == [i * frames // points for i in range(points + 1)]


# ----------------------------------------------------------------------------- from pyramids


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_pyramid_gives_the_samples_picture(kept: Kept, data: st.DataObject) -> None:
    frames = len(kept.samples)
    near = st.sampled_from([0, CELL, 1024, BLOCK_FRAMES, 4 * BLOCK_FRAMES, 17 * BLOCK_FRAMES])
    place = st.builds(lambda a, b: min(max(a + b, 0), frames), near, st.integers(-300, 300))
    start, stop = sorted(data.draw(st.tuples(st.integers(0, frames) | place, place)))
    points = data.draw(st.integers(1, 40))
    if start < stop:
        expected = brute(kept.samples[start:stop], points, 24)
        assert np.array_equal(kept.picture(start, stop, points), expected)


@pytest.mark.parametrize("points", [1, 3, 16, 17, 100, 500])
def test_a_picture_of_all(kept: Kept, points: int) -> None:
    found = kept.picture(0, len(kept.samples), points)
    assert np.array_equal(found, brute(kept.samples, points, 24))


def test_little_is_read_of_the_samples(kept: Kept) -> None:
    kept.read_frames = 0
    kept.picture(1, 17 * BLOCK_FRAMES - 1, 100)
    assert 0 < kept.read_frames <= 101 * CELL


def test_a_pyramid_that_lags_behind_gives_the_same(kept: Kept) -> None:
    lagging = Kept(kept.samples, kept.format)
    for count in range(0, len(kept.blocks), 3):
        lagging.blocks = kept.blocks[:count]
        found = lagging.picture(100, len(kept.samples), 20)
        assert np.array_equal(found, brute(kept.samples[100:], 20, 24))


# --------------------------------------------------------------------------------- the format


def test_the_order_of_blocks() -> None:
    order = sorted(
        (int(number), level)
        for level in range(tree.LEVELS)
        for number in tree.block_numbers(level, np.arange(300 >> 2 * level))
    )
    assert [level for _, level in order[:7]] == [0, 0, 0, 0, 1, 0, 0]
    assert [number for number, _ in order] == list(range(len(order)))
    assert tree.blocks_until(256) == 256 + 64 + 16 + 4 + 1


@given(st.integers(0, 100_000))
def test_frames_covered(count: int) -> None:
    blocks = tree.blocks_until(count)
    assert tree.frames_covered(blocks) == count * BLOCK_FRAMES
    assert tree.frames_covered(tree.blocks_until(count + 1) - 1) == count * BLOCK_FRAMES


def test_the_bytes_of_an_entry() -> None:
    samples = np.tile(np.array([1, -2], np.int32), BLOCK_FRAMES // 2)
    kept = Kept(samples[:, None], AudioFormat(8000, 1, 16))
    kept.build()
    (block,) = kept.blocks
    assert len(block) == tree.block_bytes(1)
    assert block[:16] == bytes.fromhex("feffffff 01000000 8002000000000000")


def test_the_next_level_would_not_hold_the_squares() -> None:
    assert tree.span(tree.LEVELS - 1) * 2**46 < 2**64 == tree.span(tree.LEVELS) * 2**46
    assert ENTRY.itemsize == 16
