"""Files: their bytes where they are fixed, what decoders make of them where they are not."""

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs_server.audio.codecs import CODECS, Spooled, Wanted
from racs_server.audio.codecs.aiff import AIFF
from racs_server.audio.codecs.comments import comments
from racs_server.audio.codecs.id3 import tag
from racs_server.audio.codecs.mp3 import info_frame
from racs_server.audio.codecs.ogg import FIRST, LAST, OggFile, page
from racs_server.errors import RequestError, StorageError
from racs_server.values import AudioFormat, Tags
from tests.audio.files import TAGS, encoded, ffmpeg

STEREO = AudioFormat(44_100, 2, 16)


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


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/x-bwf", "audio/flac", "audio/aiff"])
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
    data = encoded("audio/flac", format_, [], tmp_path, tags=Tags("a"))
    fields = {16: "0ac442f0 00000000", 24: "0ac44370 00000000"}[depth]
    assert data == (
        b"fLaC\x00\x00\x00\x22"
        + bytes.fromhex(f"1000 1000 000000 000000 {fields}")
        + hashlib.md5(b"").digest()
        + bytes.fromhex("84000017 04000000 72616373 01000000 07000000 5449544c453d61")
    )
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.samplerate, file.channels, file.subtype) == (44_100, 2, f"PCM_{depth}")
        assert file.title == "a"


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
        RequestError, match="'audio/mod'; there are audio/wav, audio/x-wav, audio/x-bwf"
    ):
        CODECS.find("audio/mod")


def test_the_readme_tells_of_every_format() -> None:
    chapter = Path("README.md").read_text(encoding="utf-8").split("\n## Formats\n")[1]
    table = chapter.split("\n## ")[0]
    for codec in CODECS:
        assert codec.mime_type.replace("-data+json", "-data` (`…+json`") in table


def write(way: Spooled, wanted: Wanted, file: BinaryIO) -> None:
    encoder = way.begin(wanted, file)
    if wanted.frames:
        encoder.write(noise(wanted.format, wanted.frames))
    encoder.finish()


@pytest.mark.parametrize("mime_type", ["audio/flac", "audio/mpeg", "audio/ogg", "audio/vorbis"])
def test_a_file_that_cannot_be_written_is_the_disks_fault(mime_type: str) -> None:
    codec = CODECS.find(mime_type)
    assert isinstance(codec.way, Spooled)
    with Path("/dev/full").open("rb+", buffering=0) as file:
        for frames in (500_000, 0):
            wanted = codec.wanted(STEREO, frames, TAGS)
            with pytest.raises(StorageError, match=f"a {codec.name} file could not be written"):
                write(codec.way, wanted, file)


def test_pcm_in_network_order_and_as_it_is(tmp_path: Path) -> None:
    block = np.array([1, -2], np.int32)
    mono16, mono24 = AudioFormat(8000, 1, 16), AudioFormat(8000, 1, 24)
    assert encoded("audio/l16", mono16, [block], tmp_path) == b"\0\x01\xff\xfe"
    assert encoded("audio/L24", mono24, [block], tmp_path) == b"\0\0\x01\xff\xff\xfe"
    assert encoded("audio/x-raw", mono24, [block], tmp_path) == b"\x01\0\0\xfe\xff\xff"
    assert encoded("audio/x-raw", mono24, [block[:1]], tmp_path) == b"\x01\0\0"
    with pytest.raises(RequestError, match=r"L16 \(audio/l16\) cannot hold .* it holds 16 bits"):
        CODECS.find("audio/l16").check(mono24)


def test_the_bytes_of_an_aiff_file(tmp_path: Path) -> None:
    block = np.array([1, -2], np.int32)
    tags = Tags("a", 1_703_543_425_123_456_789)
    assert encoded("audio/aiff", STEREO, [block], tmp_path, tags=tags) == (
        b"FORM" + bytes.fromhex("000000d8") + b"AIFF"
        b"COMM"
        + bytes.fromhex("00000012 0002 00000001 0010 400eac44000000000000")
        + b"NAME\0\0\0\x01a\0"
        + b"ANNO\0\0\0\x26recorded from 2023-12-25T22:30:25.123Z"
        + b"ID3 \0\0\0\x66"
        + tag(tags)
        + b"SSND\0\0\0\x0c"
        + bytes(8)
        + b"\0\x01\xff\xfe"
    )
    assert AIFF.holds(AudioFormat(768_000, 32, 24))


def test_the_bytes_of_a_broadcast_wave_file(tmp_path: Path) -> None:
    tags = Tags("a", 1_703_543_425_500_000_000)
    data = encoded("audio/x-bwf", STEREO, [np.array([1, -2], np.int32)], tmp_path, tags=tags)
    assert data[12:16] == b"bext"
    history = b"A=PCM,F=44100,W=16,M=stereo,T=racs\r\n"
    assert int.from_bytes(data[16:20], "little") == 602 + len(history)
    chunk = data[20 : 20 + 602 + len(history)]
    assert chunk[:256] == b"a".ljust(256, b"\0")
    assert chunk[256:288].rstrip(b"\0") == b"racs"
    assert chunk[320:338] == b"2023-12-2522:30:25"
    since_midnight = (22 * 3600 + 30 * 60 + 25) * 44_100 + 22_050
    assert int.from_bytes(chunk[338:346], "little") == since_midnight
    assert chunk[346:348] == b"\x01\0"
    assert chunk[602:] == history
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    plain = encoded("audio/x-bwf", STEREO, [], tmp_path, tags=Tags())
    assert plain[20 + 320 : 20 + 346] == bytes(26)


def test_vorbis_comments() -> None:
    expected = "04000000 72616373 01000000 07000000 5449544c453d61"
    assert comments(Tags("a")) == bytes.fromhex(expected)


def test_the_bytes_of_an_ogg_page(tmp_path: Path) -> None:
    first = bytes.fromhex(
        "4f676753 00 02 0000000000000000 00000000 00000000 d979467b 01 01 61".replace(" ", "")
    )
    assert page([b"a"], 0, 0, 0, FIRST) == first
    long = page([bytes(255), b"bc"], 960, 7, 1)
    assert long[6:14] == (960).to_bytes(8, "little")
    assert long[14:22] == bytes([7, 0, 0, 0, 1, 0, 0, 0])
    assert long[26:30] == bytes([3, 255, 0, 2])


def passed_on(pages: bytes, serial: int, folder: Path) -> bytes:
    """Return what an `OggFile` makes of pages that come byte by byte."""
    with (folder / "file").open("wb") as file:
        ogg = OggFile(file, serial)
        for byte in pages:
            ogg.write(bytes([byte]))
        assert ogg.tell() == len(pages)
    return (folder / "file").read_bytes()


def test_pages_that_others_made_get_the_serial_number_that_is_wanted(tmp_path: Path) -> None:
    parts = [([b"a"], 0), ([b"b", b"cd"], 960), ([b"e"], 1920)]
    flags = [FIRST, 0, LAST]

    def file(serial: int) -> bytes:
        return b"".join(
            page(*part, serial, number, flags[number]) for number, part in enumerate(parts)
        )

    assert passed_on(file(0x04030201), 7, tmp_path) == file(7)


def test_audio_of_one_page_gets_a_second_one_that_tells_where_it_begins(tmp_path: Path) -> None:
    head = page([b"a"], 0, 7, 0, FIRST)
    audio = page([bytes(300), b"b", b"cd"], 960, 7, 1, LAST)
    first, rest = page([bytes(300)], 0, 7, 1), page([b"b", b"cd"], 960, 7, 2, LAST)
    assert passed_on(head + audio, 7, tmp_path) == head + first + rest


@pytest.mark.parametrize("mime_type", ["audio/ogg", "audio/vorbis"])
def test_ogg_files_of_consecutive_pieces_make_one_file(mime_type: str, tmp_path: Path) -> None:
    samples = noise(STEREO, 60_000)
    pieces = [
        encoded(mime_type, STEREO, [samples], tmp_path, tags=Tags("a", second * 10**9))
        for second in (1, 2)
    ]
    first, second = (piece[14:18] for piece in pieces)
    assert bytes(4) != first != second != bytes(4)
    if mime_type == "audio/ogg":  # ffmpeg 5 cannot go on with a second stream of Vorbis
        (tmp_path / "both").write_bytes(b"".join(pieces))
        (tmp_path / "one").write_bytes(pieces[0])
        assert len(ffmpeg(tmp_path / "both", 2)) == 2 * len(ffmpeg(tmp_path / "one", 2))


def test_the_bytes_of_an_opus_head(tmp_path: Path) -> None:
    data = encoded("audio/opus", STEREO, [np.zeros(2, np.int32)], tmp_path)
    head = "4f70757348656164 01 02 3801 44ac0000 0000 00"
    assert data[28:47] == bytes.fromhex(head.replace(" ", ""))
    assert data[47:51] == b"OggS"
    discrete = encoded("audio/opus", AudioFormat(48_000, 3, 16), [], tmp_path)
    assert discrete[46:52] == bytes([255, 3, 0, 0, 1, 2])


def test_the_bytes_of_an_id3_tag() -> None:
    assert tag(Tags("a")) == bytes.fromhex("494433040000 0000000c 54495432 00000002 0000 0361")
    assert tag(Tags("a", 1_703_543_425_123_456_789)) == (
        b"ID3\4\0\0\0\0\0\x5c"
        b"TIT2\0\0\0\x02\0\0\x03a"
        b"TDRC\0\0\0\x14\0\0\x032023-12-25T22:30:25"
        b"TXXX\0\0\0\x27\0\0\x03recorded from\x002023-12-25T22:30:25.123Z"
        b"\0"
    )
    assert tag(Tags()) == b""
    assert tag(Tags("a" * 200))[6:10] == b"\0\0\x01\x54"


def test_the_bytes_of_an_info_frame() -> None:
    wanted = Wanted(STEREO, 44_100, Tags(), 192)
    size = 40 * 192_000 * 144 // 44_100
    frame = info_frame(wanted, bytes.fromhex("fffbb204"), size)
    assert len(frame) == 626
    assert frame[:4] == bytes.fromhex("fffbb004")
    assert frame[36:52] == b"Info\0\0\0\x0f" + bytes([0, 0, 0, 40]) + (626 + size).to_bytes(
        4, "big"
    )
    assert frame[52:56] == bytes([0, 2, 5, 7])
    assert frame[156:165] == b"LAME3.100"
    assert frame[152:156] == bytes([0, 0, 0, 53])
    assert frame[176:181] == bytes([192]) + bytes.fromhex("24057c 44")


@pytest.mark.parametrize(
    ("rate", "mode", "told"),
    [(32_000, 0xC4, 0x00), (44_100, 0x04, 0x44), (48_000, 0x64, 0x8C), (48_000, 0xC4, 0x80)],
)
def test_an_info_frame_tells_the_rate_and_how_lame_coded_two_channels(
    rate: int, mode: int, told: int
) -> None:
    format_ = AudioFormat(rate, 1 if mode == 0xC4 else 2, 16)
    wanted = Wanted(format_, 1000, Tags(), 192)
    frame = info_frame(wanted, bytes([0xFF, 0xFB, 0xB0, mode]), 3 * 192_000 * 144 // rate)
    assert frame[frame.index(b"LAME") + 24] == told


def test_equal_audio_gives_equal_files(tmp_path: Path) -> None:
    samples = noise(STEREO, 100_000)
    for codec in CODECS:
        if codec.holds(STEREO):
            parts = np.array_split(samples.reshape(-1, 2), 3)
            files = [encoded(codec.mime_type, STEREO, [samples], tmp_path) for _ in range(2)]
            files.append(
                encoded(codec.mime_type, STEREO, [each.reshape(-1) for each in parts], tmp_path)
            )
            assert len(set(files)) == 1, codec.name


@pytest.mark.parametrize(
    ("mime_type", "rate", "bit_rate", "allowed"),
    [
        ("audio/mpeg", 44_100, 100, "bit rate of 100 kbit/s; .* 32, 40, .* 256 or 320 kbit/s"),
        ("audio/mp3", 22_050, 192, "8, 16, .* 144 or 160 kbit/s"),
        ("audio/mp3", 8000, 80, "8, 16, .* 56 or 64 kbit/s"),
        ("audio/opus", 44_100, 11, "bit rate of 11 kbit/s; .* 12 to 512 kbit/s"),
        ("audio/vorbis", 44_100, 11, "quality of 11; .* 0 to 10"),
        ("audio/flac", 44_100, 5, "FLAC .* has no bit rate to be set, and 5 was given"),
        ("audio/wav", 44_100, 0, "WAV .* has no bit rate"),
    ],
)
def test_a_bit_rate_out_of_bounds_is_refused_with_the_bounds(
    mime_type: str, rate: int, bit_rate: int, allowed: str
) -> None:
    with pytest.raises(RequestError, match=allowed):
        CODECS.find(mime_type).check(AudioFormat(rate, 2, 16), bit_rate)


@pytest.mark.parametrize(
    ("mime_type", "format_", "limits"),
    [
        ("audio/mpeg", AudioFormat(44_056, 2, 16), "1 or 2 channels at 8000, .* or 48000 Hz"),
        ("audio/mpeg", AudioFormat(44_100, 3, 16), "1 or 2 channels"),
        ("audio/opus", AudioFormat(44_100, 9, 16), "1 to 8 channels at any sample rate"),
        ("audio/vorbis", AudioFormat(384_000, 2, 16), "8000 to 192000 Hz"),
        ("audio/l24", STEREO, "24 bits"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_what_it_can(
    mime_type: str, format_: AudioFormat, limits: str
) -> None:
    with pytest.raises(RequestError, match=limits):
        CODECS.find(mime_type).check(format_)
