"""Audio as runes want it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs_server.hub.conversion import convert
from racs_server.hub.files import safe_name
from racs_server.hub.rows import Target

Floats = npt.NDArray[np.float64]


def source(samples: Floats, block: int = 1000) -> Callable[[], Iterator[Floats]]:
    return lambda: (samples[at : at + block] for at in range(0, len(samples), block))


def test_what_fits_comes_out_bit_exact(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, 200_000)
    path = tmp_path / "x.wav"
    assert convert(source(samples / 2.0**15), 44_100, 2, Target(), path) == 1.0
    assert soundfile.read(path, dtype="int16")[0].ravel().tolist() == samples.tolist()
    assert soundfile.info(path).subtype == "PCM_16"


def test_24_bits_stay_as_they_are(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-(2**23), 2**23, 20_000)
    convert(source(samples / 2.0**23), 44_100, 2, Target(bit_depth=24), tmp_path / "x.wav")
    found = soundfile.read(tmp_path / "x.wav", dtype="int32")[0].ravel() >> 8
    assert found.tolist() == samples.tolist()


def test_what_is_beyond_full_scale_is_made_softer_and_not_clipped(tmp_path: Path) -> None:
    loud = 1.5 * np.sin(np.arange(44_100) * 0.05)
    gain = convert(source(np.repeat(loud, 2)), 44_100, 2, Target(), tmp_path / "x.wav")
    found = soundfile.read(tmp_path / "x.wav")[0]
    assert gain == pytest.approx(1 / 1.5, rel=1e-3)
    assert np.abs(found[:, 0] - loud * gain).max() < 3 / 2**15


def test_what_lies_between_samples_is_not_clipped_either(tmp_path: Path) -> None:
    # full scale at a quarter of the rate, half way between samples: its true peak is +3 dB
    tone = np.sign(np.sin(np.arange(48_000) * np.pi / 2 + np.pi / 4)) * 0.99
    gain = convert(source(np.repeat(tone, 2)), 48_000, 2, Target(), tmp_path / "x.wav")
    found = soundfile.read(tmp_path / "x.wav")[0]
    assert gain < 0.8
    assert np.count_nonzero(np.abs(found) > 0.9999) < 10


@pytest.mark.parametrize("file_format", ["wav", "aif", "aiff", "flac", "mp3"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_formats_rates_and_channels(tmp_path: Path, file_format: str, channels: int) -> None:
    target = Target(sample_rate=48_000, channels=2, format=file_format)
    path = tmp_path / f"x.{file_format}"
    tone = 0.3 * np.sin(np.arange(16_000) * 0.1)
    convert(source(np.repeat(tone, channels), 999 * channels), 16_000, channels, target, path)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels) == (48_000, 2)
    assert info.frames == pytest.approx(48_000, abs=2304)


def test_nothing_at_all(tmp_path: Path) -> None:
    convert(source(np.empty(0)), 8000, 1, Target(), tmp_path / "x.wav")
    assert soundfile.info(tmp_path / "x.wav").frames == 0


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("tone.WAV", "tone.wav"),
        ("a b&c#ü.flac", "a_b_c.wav"),
        ("../../etc/passwd", "passwd.wav"),
        ("", "file.wav"),
        ("\N{SNOWMAN}.wav", "file.wav"),
        ("x" * 300, "x" * 80 + ".wav"),
    ],
)
def test_safe_names(name: str, safe: str) -> None:
    assert safe_name(name, "wav") == safe


def test_safe_names_are_unique() -> None:
    assert safe_name("A.wav", "wav", ["a.wav", "A-2.wav"]) == "A-3.wav"
