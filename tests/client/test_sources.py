"""What audio may be given as, and the bytes that it becomes; no server needed."""

import array
import io
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from racs import RacsException, RacsTypeError, RacsValueError
from racs.pcm import StreamFormat
from racs.sources import LiveSource, open_source

RECORDINGS = Path(__file__).parents[1] / "data"
MONO_16 = StreamFormat("mono", 16_000, 1, 16)
STEREO_16 = StreamFormat("stereo", 44_100, 2, 16)
STEREO_24 = StreamFormat("fine", 44_100, 2, 24)
BLOCK = 12 * 7
"""Small, and whole sample frames of all formats here."""


def pcm(data: Any, target: StreamFormat, size: int = BLOCK) -> bytes:
    blocks = [bytes(block) for block in open_source(data, target).blocks(size)]
    assert all(len(block) == size for block in blocks[:-1])
    assert all(blocks), "no block is empty"
    return b"".join(blocks)


def packed(values: list[int], depth: int) -> bytes:
    return b"".join(v.to_bytes(depth // 8, "little", signed=True) for v in values)


VALUES = {16: [0, 1, -1, 32767, -32768, 258] * 10, 24: [0, 1, -1, 8388607, -8388608, 66051] * 10}
each_depth = pytest.mark.parametrize("target", [STEREO_16, STEREO_24], ids=["16", "24"])


@each_depth
def test_ints_are_stream_values(target: StreamFormat) -> None:
    values = VALUES[target.bit_depth]
    expected = packed(values, target.bit_depth)
    fine = np.array(values, np.int32)
    wide = np.zeros((len(values) // 2, 5), np.int32)
    wide[:, 1:4:2] = fine.reshape(-1, 2)
    shapes: list[Any] = [
        values,
        tuple(values),
        [np.int64(v) for v in values],
        array.array("i", values),
        fine,
        fine.astype(np.int64),
        fine.astype(">i4"),
        fine.reshape(-1, 2),
        np.asfortranarray(fine.reshape(-1, 2)),
        wide[:, 1:4:2],
        np.repeat(fine, 3)[::3],
        np.ma.array(fine),  # anything that says it is an array
    ]
    for data in shapes:
        assert pcm(data, target) == expected, type(data)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "i1", "u1", "u2", "i8", "u8"])
@each_depth
def test_every_type_of_whole_numbers(target: StreamFormat, dtype: str) -> None:
    values = [0, 1, 2, 127, 100, 5]
    assert pcm(np.array(values, dtype), target) == packed(values, target.bit_depth)


def test_int16_goes_without_a_copy() -> None:
    data = np.arange(100, dtype=np.int16)
    blocks = open_source(data, STEREO_16).blocks(40)
    first = next(blocks)
    data[0] = 77
    assert bytes(first[:2]) == b"\x4d\0"


def test_int16_values_keep_their_value_at_24_bit() -> None:
    assert pcm(np.array([-2, 32767], np.int16), STEREO_24) == packed([-2, 32767], 24)


OUT_OF_RANGE: list[tuple[Any, StreamFormat, str]] = [
    ([0, 32768], STEREO_16, "the value 32768 at index 1 does not fit stream 'stereo'"),
    ([0, 0, -32769, 99999], STEREO_16, "the value -32769 at index 2"),
    ([8388608, 0], STEREO_24, "the value 8388608 at index 0"),
    ([0, 2**31], STEREO_16, "the value 2147483648 at index 1"),
    ([0, -(10**30)], STEREO_24, f"the value {-(10**30)} at index 1"),
    (np.array([0, 40000]), STEREO_16, "the value 40000 at index 1"),
    (np.array([[0, 1], [2, 40000]]), STEREO_16, "the value 40000 at sample frame 1, channel 1"),
    (np.array([0, 40000], np.uint16), STEREO_16, "the value 40000 at index 1"),
    (np.array([0, 2**63], np.uint64), STEREO_24, "the value 9223372036854775808 at index 1"),
    (np.array([2**31 - 1, 0], np.int32), STEREO_24, "the value 2147483647 at index 0"),
]


@pytest.mark.parametrize(("data", "target", "text"), OUT_OF_RANGE)
def test_ints_out_of_range(data: Any, target: StreamFormat, text: str) -> None:
    with pytest.raises(RacsValueError) as caught:
        open_source(data, target)
    assert str(caught.value).startswith(text)
    assert "samples are -" in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [1.0, "1", None, [1, 2], np.float32(1), b"\0"])
def test_list_of_other_things(value: object) -> None:
    with pytest.raises(RacsTypeError) as caught:
        open_source([0, 1, 2, value], STEREO_16)
    assert str(caught.value).startswith(f"the value at index 3 is {value!r}")
    assert "numpy array" in str(caught.value)


def reference_quantized(value: float, depth: int) -> int:
    """rint(x * 2**(depth - 1)) in exact arithmetic (Python rounds halves to even), saturated."""
    scale = 1 << depth - 1
    return min(scale - 1, round(max(-1.0, min(1.0, value)) * scale))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "g", ">f4"])
@each_depth
def test_floats(target: StreamFormat, dtype: str) -> None:
    scale = 1 << target.bit_depth - 1
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -0.25, 1e-8, 2.0, -60000.0, np.inf, -np.inf, 0.3]
    values += [1.5 / scale, 2.5 / scale, -0.5 / scale, 0.5 / scale, 1 - 2**-20, 1 - 0.6 / scale]
    data = np.array(values, dtype)
    expected = [reference_quantized(float(v), target.bit_depth) for v in data]
    assert pcm(data, target) == packed(expected, target.bit_depth)
    assert pcm(data.reshape(-1, 2), target) == packed(expected, target.bit_depth)


@given(st.lists(st.floats(-2, 2, width=32), max_size=40), st.sampled_from([16, 24]))
def test_floats_by_the_rule(values: list[float], depth: int) -> None:
    target = StreamFormat("m", 8000, 1, depth)
    expected = packed([reference_quantized(v, depth) for v in values], depth)
    assert pcm(np.array(values, np.float32), target) == expected
    assert pcm(np.array(values, np.float64), target) == expected


@pytest.mark.parametrize(
    ("shape", "at", "where"),
    [((600_000,), (500_001,), "index 500001"), ((300_000, 2), (299_999, 1), "sample frame 299999")],
)
def test_nan_is_refused(shape: tuple[int, ...], at: tuple[int, ...], where: str) -> None:
    data = np.zeros(shape, np.float32)
    data[at] = np.nan
    with pytest.raises(
        RacsValueError, match=f"NaN is no sample value: the data have it at {where}"
    ):
        open_source(data, STEREO_16)


@pytest.mark.parametrize("dtype", ["?", "c8", "U1", "O", "M8[s]"])
def test_arrays_that_cannot_be_audio(dtype: str) -> None:
    with pytest.raises(RacsTypeError, match="cannot be audio"):
        open_source(np.zeros(4, dtype), STEREO_16)


SHAPES: list[tuple[tuple[int, ...], str]] = [
    ((3,), "3 samples end in the middle of a sample frame: stream 'stereo'"),
    ((5, 1), r"shape \(5, 1\) is 5 sample frames of 1 channels, but stream 'stereo'.*has 2$"),
    ((2, 5), r"seems to be channels x frames: give its transpose, \.T"),
    ((2, 2, 2), "one dimension"),
    ((), "one dimension"),
]


@pytest.mark.parametrize(("shape", "text"), SHAPES)
def test_shapes_that_do_not_fit(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(RacsValueError, match=text):
        open_source(np.zeros(shape, np.int16), STEREO_16)


def test_incomplete_sample_frames() -> None:
    with pytest.raises(RacsValueError, match="3 samples end in the middle of a sample frame"):
        open_source([1, 2, 3], STEREO_16)
    with pytest.raises(
        RacsValueError, match=r"10 bytes of PCM end .* one of stream 'fine'.* has 6"
    ):
        open_source(bytes(10), STEREO_24)


@pytest.mark.parametrize(
    "empty", [[], (), b"", bytearray(), memoryview(b""), np.zeros(0), np.zeros((0, 2)), iter([])]
)
def test_no_audio_at_all(empty: Any) -> None:
    assert pcm(empty, STEREO_16) == b""


def test_bytes_go_as_they_are() -> None:
    data = bytes(range(240))
    for given_as in (data, bytearray(data), memoryview(data), memoryview(data).cast("h")):
        assert pcm(given_as, STEREO_16) == data
        assert pcm(given_as, STEREO_24) == data
    with pytest.raises(RacsValueError, match="memoryview with gaps"):
        open_source(memoryview(data)[::2], STEREO_16)


@pytest.mark.parametrize("data", [None, 5, 1.5, {"a": 1}, {1, 2}, object()])
def test_what_cannot_be_audio(data: object) -> None:
    with pytest.raises(RacsTypeError, match="pcm_data must be a list of ints, a numpy array"):
        open_source(data, STEREO_16)


def test_an_open_file_is_refused_with_a_hint() -> None:
    with pytest.raises(RacsTypeError, match="open file; give the path"):
        open_source(io.BytesIO(b"RIFF"), STEREO_16)


# --- files ---


def written(path: Path, values: Any, rate: int = 44_100, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, values, rate, subtype=subtype)
    return path


FINE = np.array([[0, 1], [-1, 8388607], [-8388608, 66051], [5, 6]] * 25, np.int32)
COARSE = np.array([[0, 1], [-1, 32767], [-32768, 258], [5, 6]] * 25, np.int16)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_16_bit_file_into_16_bit_stream(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", COARSE)
    assert pcm(path, STEREO_16) == COARSE.tobytes()
    assert pcm(str(path), STEREO_16) == COARSE.tobytes()


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_24_bit_file_into_24_bit_stream(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a{suffix}", FINE << 8, subtype="PCM_24")
    assert pcm(path, STEREO_24) == packed(FINE.ravel().tolist(), 24)


def test_16_bit_file_keeps_its_level_at_24_bit(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", COARSE)
    assert pcm(path, STEREO_24) == packed([v << 8 for v in COARSE.ravel().tolist()], 24)


def test_8_bit_file_keeps_its_level(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", (COARSE >> 8 << 8), subtype="PCM_U8")
    assert pcm(path, STEREO_16) == packed([v >> 8 << 8 for v in COARSE.ravel().tolist()], 16)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_file_by_the_rule_for_floats(tmp_path: Path, subtype: str) -> None:
    values = [0.0, 0.1, 1.0, -1.0, 1.5, -7.0, 0.3, 2**-24]
    path = written(tmp_path / "a.wav", np.array(values).reshape(-1, 2), subtype=subtype)
    exact, _ = soundfile.read(path)
    expected = [reference_quantized(float(v), 24) for v in exact.ravel()]
    assert pcm(path, STEREO_24) == packed(expected, 24)


def test_32_bit_file_is_rounded(tmp_path: Path) -> None:
    values = np.array([[0, 255], [128, 384], [-128, 2**31 - 1], [-(2**31), 1 << 20]], np.int32)
    path = written(tmp_path / "a.wav", values, subtype="PCM_32")
    expected = [reference_quantized(v / 2**31, 24) for v in values.ravel().tolist()]
    assert pcm(path, STEREO_24) == packed(expected, 24)


@pytest.mark.parametrize("subtype", ["PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_finer_file_is_refused_at_16_bit(tmp_path: Path, subtype: str) -> None:
    path = written(tmp_path / "a.wav", np.zeros((4, 2)), subtype=subtype)
    with pytest.raises(RacsValueError, match=f"{subtype} samples, of which .* would lose bits"):
        open_source(path, STEREO_16)


@each_depth
def test_lossy_file_is_decoded_into_either(tmp_path: Path, target: StreamFormat) -> None:
    tone = 0.5 * np.sin(np.arange(4410) / 20)
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.column_stack([tone, -tone]), 44_100, format="OGG", subtype="VORBIS")
    decoded, _ = soundfile.read(path, dtype="float64")
    expected = [reference_quantized(v, target.bit_depth) for v in decoded.ravel().tolist()]
    assert pcm(path, target) == packed(expected, target.bit_depth)


def test_real_recording_is_bit_exact() -> None:
    path = RECORDINGS / "speech_austen_16k_mono.wav"
    info = soundfile.info(path)
    target = StreamFormat("speech", info.samplerate, info.channels, 16)
    exact, _ = soundfile.read(path, dtype="int16")
    assert pcm(path, target, 32_000) == exact.tobytes()


FILES: list[tuple[StreamFormat, str]] = [
    (StreamFormat("s", 48_000, 2, 16), "has 44100 Hz, but stream 's' .48000 Hz"),
    (StreamFormat("s", 44_100, 1, 16), "has 2 channels, but stream 's'"),
]


@pytest.mark.parametrize(("target", "text"), FILES)
def test_file_of_another_format(tmp_path: Path, target: StreamFormat, text: str) -> None:
    with pytest.raises(RacsValueError, match=text):
        open_source(written(tmp_path / "a.wav", COARSE), target)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RacsValueError, match="there is no audio file"):
        open_source(tmp_path / "nothing.wav", STEREO_16)
    with pytest.raises(RacsValueError, match="text is taken as a path"):
        open_source("0 1 2 3", STEREO_16)
    with pytest.raises(RacsValueError, match="there is no audio file"):
        open_source(tmp_path, STEREO_16)


@pytest.mark.parametrize("name", ["a.wav", "a.raw", "a.txt"])
def test_file_that_is_no_audio(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"certainly no audio" * 10)
    with pytest.raises(RacsValueError, match="cannot be read as audio"):
        open_source(path, STEREO_16)


def test_nan_in_a_file_is_found_where_it_is(tmp_path: Path) -> None:
    values = np.zeros((100, 2))
    values[50, 1] = np.nan
    path = written(tmp_path / "a.wav", values, subtype="FLOAT")
    with pytest.raises(
        RacsValueError, match=r"a\.wav', counted from sample frame 42: .*sample frame 8, channel 1"
    ):
        pcm(path, STEREO_24)


# --- live sources ---


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pieces_of_every_kind(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", COARSE)
    values = VALUES[16]
    pieces: list[Any] = [
        values,
        np.array(values, np.int16),
        packed(values, 16),
        path,
        str(path),
        np.array(values, np.int64).reshape(-1, 2),
        np.zeros((3, 2), np.float32),
        [],
    ]
    expected = packed(values, 16) * 3 + COARSE.tobytes() * 2 + packed(values, 16) + bytes(12)
    assert pcm(iter(pieces), STEREO_16) == expected
    assert pcm((piece for piece in pieces), STEREO_16, 4) == expected
    assert pcm(dict(enumerate(pieces)).values(), STEREO_16, 1 << 20) == expected


@given(st.lists(st.integers(0, 250), max_size=20), st.integers(1, 30))
def test_pieces_may_be_cut_anywhere(cuts: list[int], frames: int) -> None:
    data = bytes(i % 251 for i in range(240))
    places = [0, *sorted(min(cut, 240) for cut in cuts), 240]
    pieces = (data[start:stop] for start, stop in pairwise(places))
    assert pcm(pieces, STEREO_24, 6 * frames) == data


def test_live_audio_is_not_withheld_for_long() -> None:
    clock = Clock()

    def source() -> Iterator[bytes]:
        for number, pause in enumerate([0.0, 0.0, 0.06, 0.01, 1.0, 0.0]):
            clock.now += pause
            yield bytes([number]) * 6  # one sample frame and a half

    blocks = [bytes(b) for b in LiveSource(source(), STEREO_16, clock).blocks(1 << 20)]
    assert [len(block) for block in blocks] == [16, 12, 8], "whole sample frames"
    assert b"".join(blocks) == bytes(n for n in range(6) for _ in range(6))


def test_blocks_outlive_a_buffer_that_the_source_fills_again() -> None:
    buffer = np.zeros(30, np.int16)

    def source() -> Iterator[np.ndarray[Any, np.dtype[np.int16]]]:
        for number in range(10):
            buffer[:] = number
            yield buffer

    expected = np.repeat(np.arange(10, dtype=np.int16), 30).tobytes()
    assert b"".join(map(bytes, open_source(source(), STEREO_16).blocks(56))) == expected


def test_incomplete_sample_frame_at_the_end_of_a_source() -> None:
    blocks = open_source(iter([bytes(7), bytes(2)]), STEREO_16).blocks(8)
    assert len(next(blocks)) == 8
    with pytest.raises(RacsValueError, match=r"1 bytes of an incomplete sample frame.*was sent"):
        next(blocks)


PIECES: list[tuple[Any, type[RacsException], str]] = [
    (5, RacsTypeError, r"piece 1 of the source is a int \(5\).*make a list of the ints"),
    (None, RacsTypeError, "piece 1 of the source is a NoneType"),
    ([1.5], RacsTypeError, "piece 1 of the source: the value at index 0 is 1.5"),
    ([70000], RacsValueError, "piece 1 of the source: the value 70000 at index 0"),
    (np.zeros((2, 3)), RacsValueError, "piece 1 of the source: an array of shape"),
    ("no.wav", RacsValueError, "piece 1 of the source: there is no audio file 'no.wav'"),
]


@pytest.mark.parametrize(("piece", "kind", "text"), PIECES)
def test_wrong_piece(piece: Any, kind: type[RacsException], text: str) -> None:
    with pytest.raises(kind, match=text):
        pcm(iter([[1, 2], piece]), STEREO_16)


def test_a_range_is_no_list() -> None:
    with pytest.raises(RacsTypeError, match="make a list of the ints"):
        pcm(range(10), STEREO_16)


def test_a_long_source_takes_no_more_memory_than_a_block() -> None:
    piece = bytes(6000)
    blocks = open_source((piece for _ in range(100_000)), STEREO_16).blocks(60_000)
    assert sum(len(block) for block in blocks) == 600_000_000


@given(st.lists(st.integers(-(2**23), 2**23 - 1), max_size=60))
def test_24_bit_packing(values: list[int]) -> None:
    target = StreamFormat("m", 8000, 1, 24)
    expected = b"".join(struct.pack("<i", v)[:3] for v in values)
    assert pcm(values, target, 9) == expected
    assert pcm(np.array(values, np.int32), target, 9) == expected
