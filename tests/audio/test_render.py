"""Plans against plain numpy: every command, in any order, read in any pieces, from any place."""

import tracemalloc
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.audio import render as room
from racs_server.audio.render import render
from racs_server.errors import RacsError
from racs_server.values import AudioFormat, AudioPlan, StreamRange, building, converting
from racs_server.values.plans import decode_plan, encode_plan
from tests.audio import model
from tests.audio.sources import Arrays, Endless

STEREO = AudioFormat(44_100, 2, 16)
MONO = AudioFormat(44_100, 1, 16)


def read(source: Arrays, plan: AudioPlan, start: int = 0, stop: int | None = None) -> model.Audio:
    blocks = list(render(plan, source.read, start, stop))
    channels = plan.format.channels
    assert all(0 < each.size <= max(room.BLOCK_SAMPLES, channels) for each in blocks)
    assert all(each.dtype == np.int32 and each.size % channels == 0 for each in blocks)
    return np.concatenate([np.empty(0, np.int64), *blocks]).reshape(-1, channels)


def noise(frames: int, channels: int, depth: int, seed: int = 1) -> model.Audio:
    limit = 2 ** (depth - 1)
    return np.random.default_rng(seed).integers(-limit, limit, (frames, channels), np.int64)


def test_each_node_over_several_blocks() -> None:
    source = Arrays()
    left, right = noise(300_001, 2, 16), noise(200_000, 2, 16, seed=2)
    plan, other = source.add(left, STEREO), source.add(right, STEREO)
    half, third = Fraction(1, 2), Fraction(1, 3)
    expected = {
        building.gain(plan, Fraction("0.7")): model.gain(left, 16, 0.7),
        building.trim(plan, half, third): model.trim(left, 44_100, half, third),
        building.pad(plan, half, 5 * third): model.pad(left, 44_100, half, 5 * third),
        building.fade(plan, half, 3 * third): model.fade(left, 16, 44_100, half, Fraction(1)),
        building.pan(plan, Fraction("-0.3")): model.pan(left, 16, -0.3),
        building.clip(plan, -(10**9), 1234): model.clip(left, 16, -(10**9), 1234),
        building.split(plan, 1): left[:, 1:],
        building.mix(other, plan): model.mix(right, left, 16),
        building.merge(building.split(plan, 0), building.split(other, 1)): model.merge(
            left[:, :1], right[:, 1:]
        ),
    }
    for each, audio in expected.items():
        assert each.frames == len(audio), each
        assert np.array_equal(read(source, each), audio), each


# ---------------------------------------------------------------------- any pipeline


class Chain:
    """A plan and the array that it must give, grown step by step."""

    def __init__(self, source: Arrays, audio: model.Audio, format_: AudioFormat) -> None:
        self.source, self.audio = source, audio
        self.plan: AudioPlan = source.add(audio, format_)

    def grow(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(STEPS))
        format_ = self.plan.format
        rate, depth = format_.sample_rate, format_.bit_depth
        seconds = st.builds(Fraction, st.integers(0, 60), st.sampled_from([rate, 7, 10 * rate]))
        two = [min(data.draw(seconds), Fraction(40, rate)) for _ in range(2)]
        number = Fraction(data.draw(st.floats(-3, 3, allow_subnormal=False)))
        if name == "gain":
            self.plan = building.gain(self.plan, number)
            self.audio = model.gain(self.audio, depth, float(number))
        elif name == "trim":
            self.plan = building.trim(self.plan, *two)
            self.audio = model.trim(self.audio, rate, *two)
        elif name == "pad":
            self.plan = building.pad(self.plan, *two)
            self.audio = model.pad(self.audio, rate, *two)
        elif name == "fade":
            self.plan = building.fade(self.plan, *two)
            self.audio = model.fade(self.audio, depth, rate, *two)
        elif name == "clip":
            least, most = sorted(data.draw(st.integers(-(2**24), 2**24)) for _ in range(2))
            self.plan = building.clip(self.plan, least, most)
            self.audio = model.clip(self.audio, depth, least, most)
        elif name == "pan" and format_.channels == 2:
            self.plan = building.pan(self.plan, number / 3)
            self.audio = model.pan(self.audio, depth, float(number / 3))
        elif name == "split":
            channel = data.draw(st.integers(0, format_.channels - 1))
            self.plan = building.split(self.plan, channel)
            self.audio = self.audio[:, channel : channel + 1]
        elif name == "remix":
            channels = data.draw(st.integers(1, 6))
            self.plan = converting.remix(self.plan, channels)
            self.audio = model.remix(self.audio, depth, channels)
        elif name == "depth":
            wanted = data.draw(st.sampled_from([16, 24]))
            self.plan = converting.requantize(self.plan, wanted, None)
            self.audio = model.requantize(self.audio, depth, wanted)
        else:
            self._join(data, name, format_)

    def _join(self, data: st.DataObject, name: str, format_: AudioFormat) -> None:
        depth = format_.bit_depth
        other = noise(data.draw(st.integers(0, 60)), format_.channels, depth, seed=3)
        right = self.source.add(other, format_)
        if name == "merge" and format_.channels == 1:
            self.plan = building.merge(self.plan, right)
            self.audio = model.merge(self.audio, other)
        else:
            self.plan = building.mix(self.plan, right)
            self.audio = model.mix(self.audio, other, depth)


STEPS = ["gain", "trim", "pad", "fade", "clip", "pan", "split", "mix", "merge", "remix", "depth"]


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_pipeline_equals_numpy_read_in_any_pieces_from_any_place(data: st.DataObject) -> None:
    format_ = AudioFormat(
        data.draw(st.sampled_from([1, 7, 8000, 11_025, 44_100, 44_056, 96_000])),
        data.draw(st.integers(1, 4)),
        data.draw(st.sampled_from([16, 24])),
    )
    frames = data.draw(st.integers(0, 80))
    source = Arrays(piece=data.draw(st.integers(1, 50)))
    chain = Chain(source, noise(frames, format_.channels, format_.bit_depth), format_)
    for _ in range(data.draw(st.integers(0, 5))):
        chain.grow(data)
    plan, audio = chain.plan, chain.audio
    assert plan.frames == len(audio)
    assert plan.format.channels == audio.shape[1]
    assert decode_plan(encode_plan(plan)) == plan
    start = data.draw(st.integers(0, len(audio)))
    stop = data.draw(st.integers(start, len(audio)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "BLOCK_SAMPLES", data.draw(st.integers(1, 300)))
        assert np.array_equal(read(source, plan), audio)
        assert np.array_equal(read(source, plan, start, stop), audio[start:stop])


# ---------------------------------------------------------------------- arithmetic


def test_results_are_rounded_half_to_even() -> None:
    source = Arrays()
    plan = source.add(np.array([[-5], [-3], [-1], [1], [3], [5]]), MONO)
    found = read(source, building.gain(plan, Fraction(1, 2)))
    assert found.ravel().tolist() == [-2, -2, 0, 0, 2, 2]


@pytest.mark.parametrize(("depth", "limit"), [(16, 2**15), (24, 2**23)])
@pytest.mark.parametrize("factor", [2, -2, Fraction(10) ** 308, -(Fraction(10) ** 600)])
def test_what_is_too_loud_saturates(depth: int, limit: int, factor: Fraction) -> None:
    source = Arrays()
    audio = np.array([[-limit], [-1], [0], [1], [limit - 1]])
    plan = building.gain(source.add(audio, AudioFormat(8000, 1, depth)), Fraction(factor))
    found = read(source, plan).ravel().tolist()
    loud = [-limit, 0, limit - 1] if factor > 0 else [limit - 1, 0, -limit]
    assert [found[0], found[2], found[4]] == loud
    if abs(factor) > 2:
        assert found == [loud[0], loud[0], 0, loud[2], loud[2]]


def test_sums_saturate_and_the_shorter_one_is_followed_by_silence() -> None:
    source = Arrays()
    first = source.add(np.array([[32_767], [-32_768], [1]]), MONO)
    second = source.add(np.array([[1], [-1]]), MONO)
    for plan in (building.mix(first, second), building.mix(second, first)):
        assert read(source, plan).ravel().tolist() == [32_767, -32_768, 1]


def test_a_fade_longer_than_the_audio_goes_on_where_it_would_be() -> None:
    source = Arrays()
    plan = source.add(np.full((4, 1), 1000), AudioFormat(10, 1, 16))
    up = building.fade(plan, Fraction(1), Fraction(0))
    assert read(source, up).ravel().tolist() == [0, 100, 200, 300]
    both = building.fade(plan, Fraction(1), Fraction(1))
    assert read(source, both).ravel().tolist() == [0, 20, 20, 0]
    for endless in (Fraction(10) ** 300, Fraction(10) ** 30):
        assert not read(source, building.fade(plan, endless, Fraction(0))).any()


# ---------------------------------------------------------------------- memory, laziness, damage


def test_windows_are_pushed_down_to_the_streams() -> None:
    source = Endless()
    day = StreamRange("day", 1, 0, 44_100 * 86_400, STEREO)
    plan = building.trim(
        building.gain(building.pad(day, Fraction(5), Fraction(5)), Fraction(2)),
        Fraction(86_000),
        Fraction(0),
    )
    assert sum(block.size for block in render(plan, source.read, 0, 1000)) == 2000
    assert source.frames_read == 1000


def test_a_long_pipeline_takes_little_memory() -> None:
    source = Endless()
    stream = StreamRange("long", 1, 0, 44_100 * 1200, STEREO)
    plan = building.fade(building.gain(stream, Fraction("0.8")), Fraction(600), Fraction(600))
    mixed = building.mix(building.pad(plan, Fraction(1), Fraction(0)), stream)
    tracemalloc.start()
    try:
        count = sum(block.size for block in render(mixed, source.read))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == mixed.samples
    assert most < 16 << 20


def test_an_error_of_a_stream_comes_through() -> None:
    def broken(plan: StreamRange) -> Iterator[memoryview]:
        yield memoryview(bytes(plan.format.frame_bytes))
        raise RacsError("damaged")

    stream = StreamRange("a", 1, 0, 10, STEREO)
    blocks = render(building.gain(stream, Fraction(1)), broken)
    assert next(blocks).size == 2
    with pytest.raises(RacsError, match="damaged"):
        next(blocks)
