"""Files: their bytes where they are fixed, what decoders make of them where they are not."""

import hashlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs_server.audio.codecs import CODECS, Spooled, Streamed
from racs_server.errors import RequestError, StorageError
from racs_server.values import AudioFormat

Blocks = list[npt.NDArray[np.int32]]


def encoded(mime_type: str, format_: AudioFormat, blocks: Blocks, folder: Path) -> bytes:
    way = CODECS.find(mime_type).way
    frames = sum(block.size for block in blocks) // format_.channels
    if isinstance(way, Streamed):
        data = b"".join(way.pieces(format_, frames, iter(blocks)))
        assert len(data) == way.length(format_, frames)
        return data
    with (folder / "file").open("wb+") as file:
        encoder = way.begin(format_, file)
        for block in blocks:
            encoder.write(block)
        encoder.finish()
        encoder.abandon()
        return (folder / "file").read_bytes()


def noise(format_: AudioFormat, frames: int) -> npt.NDArray[np.int32]:
    limit = 2 ** (format_.bit_depth - 1)
    size = frames * format_.channels
    return np.random.default_rng(7).integers(-limit, limit, size, np.int32)


def decoded(data: bytes, format_: AudioFormat) -> npt.NDArray[np.int32]:
    """Return what libsndfile reads, with the samples' own values."""
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int32", always_2d=True)
    assert rate == format_.sample_rate
    assert samples.shape[1] == format_.channels
    assert not np.any(samples & (1 << 32 - format_.bit_depth) - 1)
    values: npt.NDArray[np.int32] = samples.reshape(-1) >> 32 - format_.bit_depth
    return values


def test_the_bytes_of_a_wav_file(tmp_path: Path) -> None:
    stereo = AudioFormat(44_100, 2, 16)
    block = np.array([1, -2, 32_767, -32_768], np.int32)
    assert encoded("audio/wav", stereo, [block[:2], block[2:]], tmp_path) == bytes.fromhex(
        "52494646 2c000000 57415645 666d7420 10000000 0100 0200 44ac0000 10b10200 0400 1000"
        "64617461 08000000 0100feff ff7f0080"
    )
    empty = encoded("audio/x-wav", stereo, [], tmp_path)
    assert len(empty) == 44
    assert empty[40:] == bytes(4)


def test_a_wav_file_of_an_odd_length_is_filled_up(tmp_path: Path) -> None:
    block = np.array([-2], np.int32)
    data = encoded("audio/wav", AudioFormat(48_000, 1, 24), [block], tmp_path)
    assert len(data) == 48
    assert data[4:8] == (40).to_bytes(4, "little")
    assert data[40:] == b"\x03\0\0\0\xfe\xff\xff\0"


def test_more_than_two_channels_make_an_extensible_wav_file(tmp_path: Path) -> None:
    data = encoded("audio/wav", AudioFormat(48_000, 3, 16), [np.zeros(3, np.int32)], tmp_path)
    assert data[20:22] == b"\xfe\xff"
    assert len(data) == 68 + 6


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/flac"])
@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8000, 1), (44_056, 3), (96_000, 8)])
def test_lossless_files_decode_to_the_same_samples(
    mime_type: str, rate: int, channels: int, depth: int, tmp_path: Path
) -> None:
    format_ = AudioFormat(rate, channels, depth)
    samples = noise(format_, 150_000)
    cuts = np.array([5, 70_000, 70_001]) * channels
    data = encoded(mime_type, format_, np.split(samples, cuts), tmp_path)
    assert np.array_equal(decoded(data, format_), samples)


def test_a_long_block_makes_the_same_file_as_short_ones(tmp_path: Path) -> None:
    format_ = AudioFormat(44_100, 1, 16)
    samples = noise(format_, 200_000)
    whole = encoded("audio/flac", format_, [samples], tmp_path)
    parts = encoded("audio/flac", format_, np.array_split(samples, 11), tmp_path)
    assert np.array_equal(decoded(whole, format_), decoded(parts, format_))


@pytest.mark.parametrize("depth", [16, 24])
def test_a_flac_file_of_no_frames(depth: int, tmp_path: Path) -> None:
    format_ = AudioFormat(44_100, 2, depth)
    data = encoded("audio/flac", format_, [], tmp_path)
    fields = {16: "0ac442f0 00000000", 24: "0ac44370 00000000"}[depth]
    assert data == (
        b"fLaC\x80\x00\x00\x22"
        + bytes.fromhex(f"1000 1000 000000 000000 {fields}")
        + hashlib.md5(b"").digest()
    )
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.samplerate, file.channels, file.subtype) == (44_100, 2, f"PCM_{depth}")


@pytest.mark.parametrize("rate", [1, 65_535, 65_540, 88_200, 655_350])
def test_rates_that_flac_holds(rate: int, tmp_path: Path) -> None:
    format_ = AudioFormat(rate, 1, 16)
    CODECS.find("audio/flac").check(format_)
    samples = noise(format_, 5000)
    data = encoded("audio/flac", format_, [samples], tmp_path)
    assert np.array_equal(decoded(data, format_), samples)


@pytest.mark.parametrize(("rate", "channels"), [(65_536, 1), (655_360, 1), (44_100, 9)])
def test_what_flac_cannot_hold_is_refused_with_what_it_can(rate: int, channels: int) -> None:
    with pytest.raises(
        RequestError, match=rf"FLAC \(audio/flac\) cannot hold {rate} Hz, .* holds 1 to 8"
    ):
        CODECS.find("audio/flac").check(AudioFormat(rate, channels, 16))


def test_an_unknown_type_lists_those_there_are() -> None:
    with pytest.raises(
        RequestError, match="'audio/mod'; there are audio/wav, audio/x-wav, audio/fl"
    ):
        CODECS.find("audio/mod")


def test_a_file_that_cannot_be_written_is_the_disks_fault() -> None:
    format_ = AudioFormat(44_100, 2, 16)
    way = CODECS.find("audio/flac").way
    assert isinstance(way, Spooled)
    with Path("/dev/full").open("rb+", buffering=0) as file:
        encoder = way.begin(format_, file)
        block = noise(format_, 1_000_000)
        with pytest.raises(StorageError, match="a FLAC file could not be written"):
            encoder.write(block)
        encoder.abandon()
        with pytest.raises(StorageError):
            way.begin(format_, file).finish()
