"""Waveform files by hand-written bytes, and against plain arithmetic."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from racs_server.errors import RequestError
from racs_server.values import AudioFormat
from tests.audio.files import encoded

DAT, JSON = "audio/x-waveform-data", "audio/x-waveform-data+json"
MONO = AudioFormat(8000, 1, 16)


def test_the_bytes_of_a_binary_file(tmp_path: Path) -> None:
    block = np.array([-2, 5, 3], np.int32)
    head = "02000000 00000000 401f0000 00010000 01000000 01000000"
    assert encoded(DAT, MONO, [block], tmp_path) == bytes.fromhex(f"{head} feff 0500")
    head = head.replace("00000000", "01000000", 1)
    loud = encoded(DAT, MONO, [block * 256 + 255], tmp_path, bit_rate=8)
    assert loud == bytes.fromhex(f"{head} ff 05")
    assert encoded(DAT, MONO, [block], tmp_path, bit_rate=8) == bytes.fromhex(f"{head} 00 00")


def test_the_text_of_a_json_file(tmp_path: Path) -> None:
    text = encoded(JSON, MONO, [np.array([-2, 5, 3], np.int32)], tmp_path)
    assert text.decode() == (
        '{"version": 2, "channels": 1, "sample_rate": 8000, "samples_per_pixel": 256, "bits": 16,'
        ' "length": 1, "data": [-2,5]}'
    )


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize("frames", [0, 1, 255, 256, 257, 5000])
def test_every_pixel(frames: int, depth: int, bits: int, tmp_path: Path) -> None:
    format_ = AudioFormat(44_100, 3, depth)
    limit = 1 << depth - 1
    samples = np.random.default_rng(frames).integers(-limit, limit, (frames, 3), np.int32)
    blocks = [part.reshape(-1) for part in np.split(samples, [1, 700, 701]) if part.size]
    pixels = [samples[place : place + 256] >> depth - 16 for place in range(0, frames, 256)]
    expected = [
        int(value / (1 if bits == 16 else 256))
        for pixel in pixels
        for pair in zip(pixel.min(axis=0), pixel.max(axis=0), strict=True)
        for value in pair
    ]
    data = encoded(DAT, format_, blocks, tmp_path, bit_rate=bits)
    version, flags, rate, size, length, channels = struct.unpack_from("<iIiiIi", data)
    assert (version, flags, rate, size, length, channels) == (
        *(2, bits == 8, 44_100, 256, len(pixels), 3),
    )
    assert np.frombuffer(data, f"<i{bits // 8}", offset=24).tolist() == expected
    text = json.loads(encoded(JSON, format_, blocks, tmp_path, bit_rate=bits))
    assert text.pop("data") == expected
    assert text == {
        "version": 2,
        "channels": 3,
        "sample_rate": 44_100,
        "samples_per_pixel": 256,
        "bits": bits,
        "length": len(pixels),
    }


@pytest.mark.parametrize("mime_type", [DAT, JSON])
def test_other_numbers_of_bits_are_refused(mime_type: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="8 or 16"):
        encoded(mime_type, MONO, [], tmp_path, bit_rate=12)
