"""Packed PCM to int32 and back: pinned bytes, the edges of each depth, and every length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs_server.audio import pcm

EDGES = {
    16: [0, 1, -1, -2, 32767, -32768, 255, 256, -256],
    24: [0, 1, -1, -2, 8388607, -8388608, 65535, 65536, -65536, 127, 128],
}


@pytest.mark.parametrize(
    ("depth", "packed", "samples"),
    [
        (16, "0100 feff", [1, -2]),
        (16, "ff7f 0080", [32767, -32768]),
        (24, "010000 feffff", [1, -2]),
        (24, "ffff7f 000080", [8388607, -8388608]),
        (24, "000080", [-8388608]),
        (16, "", []),
        (24, "", []),
    ],
)
def test_hand_written_bytes(depth: int, packed: str, samples: list[int]) -> None:
    data = bytes.fromhex(packed)
    array = pcm.unpack(data, depth)
    assert array.dtype == np.int32
    assert array.tolist() == samples
    assert bytes(pcm.pack(array, depth)) == data


@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("buffer", [bytes, bytearray, memoryview])
def test_edges_of_the_depth_survive_in_any_buffer(depth: int, buffer: type) -> None:
    samples = np.array(EDGES[depth] * 3, np.int32)
    packed = bytes(pcm.pack(samples, depth))
    assert packed == b"".join(
        value.to_bytes(depth // 8, "little", signed=True) for value in samples.tolist()
    )
    assert np.array_equal(pcm.unpack(buffer(packed), depth), samples)


@given(st.sampled_from([16, 24]), st.binary(max_size=600))
def test_bytes_to_samples_to_bytes_is_the_identity(depth: int, data: bytes) -> None:
    data = data[: len(data) // (depth // 8) * (depth // 8)]
    assert bytes(pcm.pack(pcm.unpack(data, depth), depth)) == data


@given(st.lists(st.integers(-(2**23), 2**23 - 1), max_size=200))
def test_24_bit_samples_to_bytes_to_samples_is_the_identity(values: list[int]) -> None:
    samples = np.array(values, np.int32)
    assert np.array_equal(pcm.unpack(pcm.pack(samples, 24), 24), samples)


def test_the_result_does_not_share_the_packed_memory() -> None:
    for depth in (16, 24):
        buffer = bytearray(6)
        array = pcm.unpack(buffer, depth)
        buffer[:] = b"\xff" * 6
        assert not array.any()


def test_every_other_sample_of_an_array_can_be_packed() -> None:
    stereo = np.array([1, 9, 2, 9, 3, 9], np.int32)
    for depth in (16, 24):
        assert pcm.unpack(pcm.pack(stereo[::2], depth), depth).tolist() == [1, 2, 3]


@pytest.mark.parametrize(("depth", "size"), [(16, 1), (16, 3), (24, 1), (24, 2), (24, 4)])
def test_a_torn_sample_is_refused(depth: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"{size} bytes are no whole number of {depth}-bit"):
        pcm.unpack(bytes(size), depth)


@pytest.mark.parametrize(
    ("depth", "value"), [(16, 32768), (16, -32769), (24, 8388608), (24, -8388609)]
)
def test_a_sample_beyond_the_depth_is_refused(depth: int, value: int) -> None:
    with pytest.raises(ValueError, match=f"a sample of {value} does not fit into {depth} bits"):
        pcm.pack(np.array([0, value, 0], np.int32), depth)


@pytest.mark.parametrize("depth", [0, 8, 20, 32])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=f"PCM of {depth} bits"):
        pcm.unpack(b"", depth)
    with pytest.raises(ValueError, match=f"PCM of {depth} bits"):
        pcm.pack(np.zeros(0, np.int32), depth)
