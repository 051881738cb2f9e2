"""Files in the eyes of other programs: the length, where the audio is, what is told of it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs_server.values import AudioFormat
from tests.audio.files import TAGS, encoded, ffmpeg, ffprobe, sox_frames

LOSSLESS = ["audio/wav", "audio/x-bwf", "audio/flac", "audio/aiff"]
LOSSY = ["audio/mpeg", "audio/ogg", "audio/vorbis"]
SUFFIX = {
    "audio/wav": ".wav",
    "audio/x-bwf": ".wav",
    "audio/flac": ".flac",
    "audio/aiff": ".aiff",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".opus",
    "audio/vorbis": ".ogg",
}
OPUS_RATE = 48_000


def noise(frames: int, channels: int) -> npt.NDArray[np.float64]:
    """Return noise of low frequencies, which lossy formats keep the wave of; at -20 dB."""
    white = np.random.default_rng(frames).normal(size=(frames + 64, channels))
    smooth = np.apply_along_axis(np.convolve, 0, white, np.hanning(65), "same")[:frames]
    return np.asarray(smooth / 50)


def made(
    mime_type: str,
    format_: AudioFormat,
    audio: npt.NDArray[np.float64],
    folder: Path,
    bit_rate: int | None = None,
) -> Path:
    """Write a file of audio of -1 to 1; return where it is."""
    limit = 2 ** (format_.bit_depth - 1)
    samples = np.clip(np.rint(audio * limit), -limit, limit - 1).astype(np.int32)
    blocks = [each.reshape(-1) for each in np.array_split(samples, max(1, len(samples) // 50_000))]
    data = encoded(
        mime_type, format_, [each for each in blocks if each.size], folder, bit_rate=bit_rate
    )
    path = folder / f"file{SUFFIX[mime_type]}"
    path.write_bytes(data)
    return path


def length(mime_type: str, frames: int, rate: int) -> int:
    """Return how many sample frames a decoder has to give."""
    return -(-frames * OPUS_RATE // rate) if mime_type == "audio/ogg" else frames


@pytest.mark.parametrize("mime_type", LOSSLESS + LOSSY)
@pytest.mark.parametrize("frames", [0, 1, 100, 44_100, 100_001])
def test_every_length_is_exact(mime_type: str, frames: int, tmp_path: Path) -> None:
    format_ = AudioFormat(44_100, 2, 16)
    path = made(mime_type, format_, noise(frames, 2), tmp_path)
    expected = length(mime_type, frames, 44_100)
    if not (mime_type == "audio/wav" and frames == 0):  # ffmpeg takes it for one that is cut off
        assert len(ffmpeg(path, 2)) == expected
    if not (mime_type == "audio/flac" and frames == 0):  # there a length of 0 is an unknown one
        assert soundfile.info(path).frames == expected
    if frames:
        assert ffprobe(path)["duration"] == pytest.approx(frames / 44_100, abs=0.07)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000])
@pytest.mark.parametrize("frames", [0, 1, 46, 47, 577])
def test_short_mp3_files_of_low_rates_are_of_exact_length(
    rate: int, frames: int, tmp_path: Path
) -> None:
    path = made("audio/mpeg", AudioFormat(rate, 1, 16), noise(frames, 1), tmp_path)
    assert len(ffmpeg(path, 1, "-f", "mp3")) == soundfile.info(path).frames == frames


@pytest.mark.parametrize(
    ("mime_type", "rate"),
    [
        ("audio/mpeg", 8000),
        ("audio/mpeg", 11_025),
        ("audio/mpeg", 22_050),
        ("audio/mpeg", 48_000),
        ("audio/ogg", 8000),
        ("audio/ogg", 11_025),
        ("audio/ogg", 44_056),
        ("audio/ogg", 96_000),
        ("audio/ogg", 192_000),
        ("audio/vorbis", 8000),
        ("audio/vorbis", 44_056),
        ("audio/vorbis", 96_000),
        ("audio/flac", 44_056),
        ("audio/aiff", 44_056),
        ("audio/aiff", 192_000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_odd_rates(mime_type: str, rate: int, channels: int, tmp_path: Path) -> None:
    frames = rate + 17
    audio = noise(frames, channels)
    path = made(mime_type, AudioFormat(rate, channels, 16), audio, tmp_path)
    found = ffmpeg(path, channels)
    assert len(found) == length(mime_type, frames, rate)
    told = ffprobe(path)
    assert told["channels"] == channels
    assert int(told["sample_rate"]) == (OPUS_RATE if mime_type == "audio/ogg" else rate)
    if mime_type != "audio/ogg":
        agrees(found, audio)


def agrees(found: npt.NDArray[np.float32], audio: npt.NDArray[np.float64]) -> None:
    """Compare lossy audio: its level within 0.5 dB, correlation over 0.99 at no shift but 0.

    LAME makes audio softer by up to 0.45 dB, so that what it adds to loud audio does not clip.
    """
    for was, is_ in zip(audio.T, found.T, strict=True):
        assert abs(20 * np.log10(is_.std() / was.std())) < 0.5
        inner = slice(200, min(len(was), 10_000) - 200)
        shifted = [
            np.corrcoef(was[inner], is_[inner.start + by : inner.stop + by])[0, 1]
            for by in range(-50, 51)
        ]
        assert int(np.argmax(shifted)) == 50
        assert max(shifted) > 0.99
        assert np.corrcoef(was[-2000:], is_[-2000:])[0, 1] > 0.99  # the end is there too


@pytest.mark.parametrize("mime_type", LOSSY)
@pytest.mark.parametrize(("channels", "depth"), [(1, 16), (2, 16), (2, 24)])
def test_lossy_files_keep_level_and_place(
    mime_type: str, channels: int, depth: int, tmp_path: Path
) -> None:
    audio = noise(OPUS_RATE * 3, channels)
    agrees(
        ffmpeg(made(mime_type, AudioFormat(OPUS_RATE, channels, depth), audio, tmp_path), channels),
        audio,
    )


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 44_056, 192_000])
def test_opus_of_any_rate_keeps_level_and_place(rate: int, tmp_path: Path) -> None:
    seconds = 2
    waves = [(200, 0.3), (451, 0.2), (1333, 0.1)]

    def tones(at: int) -> npt.NDArray[np.float64]:
        time = np.arange(at * seconds) / at
        swell = np.minimum(1, time * 20) * (1 + 0.5 * np.sin(40 * time**2))
        tones = [level * swell * np.sin(2 * np.pi * hertz * time) for hertz, level in waves]
        return np.asarray(np.sum(tones, 0)[:, None] / 2)

    path = made(
        "audio/opus".replace("opus", "ogg"), AudioFormat(rate, 1, 24), tones(rate), tmp_path
    )
    agrees(ffmpeg(path, 1), tones(OPUS_RATE))


@pytest.mark.parametrize("mime_type", LOSSLESS)
@pytest.mark.parametrize("depth", [16, 24])
def test_lossless_files_of_six_channels_are_the_same_in_ffmpeg(
    mime_type: str, depth: int, tmp_path: Path
) -> None:
    audio = noise(20_000, 6)
    found = ffmpeg(made(mime_type, AudioFormat(48_000, 6, depth), audio, tmp_path), 6)
    limit = 2 ** (depth - 1)
    assert np.array_equal(np.rint(found.astype(np.float64) * limit), np.rint(audio * limit))


def test_opus_of_six_channels_keeps_each_for_itself(tmp_path: Path) -> None:
    audio = noise(OPUS_RATE, 6)
    agrees(ffmpeg(made("audio/ogg", AudioFormat(OPUS_RATE, 6, 16), audio, tmp_path), 6), audio)


@pytest.mark.parametrize("mime_type", LOSSLESS + LOSSY)
def test_full_scale_stays_full_scale(mime_type: str, tmp_path: Path) -> None:
    time = np.arange(OPUS_RATE) / OPUS_RATE
    square = np.sign(np.sin(2 * np.pi * 50 * time + 0.1))[:, None]
    found = ffmpeg(made(mime_type, AudioFormat(OPUS_RATE, 1, 16), square, tmp_path), 1)
    # far from its edges, where a lossy format rings
    middle = np.abs(((time * 100 + 0.1 / np.pi) % 1) - 0.5) < 0.2
    assert np.all(np.sign(found[middle]) == np.sign(square[middle]))
    assert np.abs(found[middle]).mean() == pytest.approx(1, abs=0.07)


def test_raw_pcm_in_network_order(tmp_path: Path) -> None:
    audio = noise(1000, 2)
    data = encoded(
        "audio/l24",
        AudioFormat(48_000, 2, 24),
        [np.rint(audio * 2**23).astype(np.int32).reshape(-1)],
        tmp_path,
    )
    path = tmp_path / "raw"
    path.write_bytes(data)
    found = ffmpeg(path, 2, "-f", "s24be", "-ar", "48000", "-ac", "2")
    assert np.array_equal(found.astype(np.float64), np.rint(audio * 2**23) / 2**23)


@pytest.mark.parametrize("mime_type", ["audio/x-bwf", "audio/flac", "audio/aiff", *LOSSY])
def test_other_programs_find_the_tags(mime_type: str, tmp_path: Path) -> None:
    tags = ffprobe(made(mime_type, AudioFormat(44_100, 2, 16), noise(44_100, 2), tmp_path))["tags"]
    assert TAGS.stream_id is not None
    if mime_type == "audio/x-bwf":
        assert tags["comment"] == TAGS.stream_id
        assert (tags["date"], tags["creation_time"]) == ("2023-12-25", "22:30:25")
        since_midnight = (22 * 3600 + 30 * 60 + 25) * 44_100 + 123_456_789 * 44_100 // 10**9
        assert int(tags["time_reference"]) == since_midnight
        assert tags["coding_history"].startswith("A=PCM,F=44100,W=16,M=stereo,T=racs")
        return
    assert tags["title"] == TAGS.stream_id
    if mime_type == "audio/aiff":
        assert tags["comment"] == "recorded from 2023-12-25T22:30:25.123Z"
    if mime_type in ("audio/aiff", "audio/mpeg"):
        assert tags["date"] == "2023-12-25T22:30:25"
        assert tags["recorded from"] == "2023-12-25T22:30:25.123Z"
    else:
        assert tags["date"] == "2023-12-25T22:30:25.123Z"


@pytest.mark.parametrize("mime_type", LOSSLESS + LOSSY)
def test_seeking_comes_to_the_right_place(mime_type: str, tmp_path: Path) -> None:
    audio = noise(OPUS_RATE * 15, 1)
    path = made(mime_type, AudioFormat(OPUS_RATE, 1, 16), audio, tmp_path)
    found = ffmpeg(path, 1, "-ss", "12.5")[:4000, 0]
    start = OPUS_RATE * 25 // 2
    best = max(
        range(-1500, 1501),
        key=lambda by: float(np.dot(found, audio[start + by : start + by + len(found), 0])),
    )
    # an MP3's frames have no times of their own: ffmpeg finds the place by the table, not exactly
    assert abs(best) <= (1152 if mime_type == "audio/mpeg" else 1)


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("audio/flac", "flac"),
        ("audio/vorbis", "ogg"),
        ("audio/aiff", "aiff"),
        ("audio/x-bwf", "wav"),
    ],
)
def test_sox_reads_them_too(mime_type: str, kind: str, tmp_path: Path) -> None:
    for frames in (1, 100, 50_000):
        path = made(mime_type, AudioFormat(44_100, 1, 16), noise(frames, 1), tmp_path)
        assert sox_frames(path, kind) == frames


def test_quality_at_the_usual_bit_rate(tmp_path: Path) -> None:
    music, rate = soundfile.read("tests/data/music_guitar_44k_stereo.flac")
    for mime_type, least in (("audio/mpeg", 18.0), ("audio/vorbis", 14.0)):
        path = made(mime_type, AudioFormat(rate, 2, 16), music, tmp_path)
        error = ffmpeg(path, 2) - music
        assert 10 * np.log10(np.mean(music**2) / np.mean(error**2)) > least
        seconds = len(music) / rate
        assert path.stat().st_size * 8 / seconds < 200_000
