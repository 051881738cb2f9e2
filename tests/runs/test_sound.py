"""What streams get of audio files."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from racs.runs.sound import Sound

RAMP = np.linspace(-1, 1, 5000, endpoint=False)


def samples_of(path: Path) -> tuple[Sound, list[int]]:
    with Sound(path) as sound:
        return sound, np.concatenate([*sound.blocks(), np.empty(0, np.int32)]).tolist()


@pytest.mark.parametrize(
    ("file_format", "subtype", "depth"),
    [("WAV", "PCM_16", 16), ("FLAC", "PCM_24", 24), ("AIFF", "PCM_24", 24)],
)
def test_whole_numbers_stay_as_they_are(
    tmp_path: Path, file_format: str, subtype: str, depth: int
) -> None:
    values = np.rint(RAMP * (1 << depth - 1)).astype(np.int32).reshape(-1, 2)
    soundfile.write(tmp_path / "x", values << (32 - depth), 48_000, subtype, format=file_format)
    sound, found = samples_of(tmp_path / "x")
    assert (sound.sample_rate, sound.channels, sound.bit_depth) == (48_000, 2, depth)
    assert sound.exact
    assert found == values.ravel().tolist()


def test_eight_bits_keep_their_level(tmp_path: Path) -> None:
    values = np.array([-128, -1, 0, 1, 127], np.int32)
    soundfile.write(tmp_path / "x.wav", values << 24, 8000, "PCM_U8")
    sound, found = samples_of(tmp_path / "x.wav")
    assert sound.exact
    assert found == [-32768, -256, 0, 256, 32512]


def test_floats_are_rounded_to_24_bits_and_the_file_is_to_be_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", [0.5, 1.2, -1.2, np.nan, 1e-7], 44_100, "FLOAT")
    sound, found = samples_of(tmp_path / "x.wav")
    assert (sound.bit_depth, sound.exact) == (24, False)
    assert found == [1 << 22, (1 << 23) - 1, -(1 << 23), 0, 1]
    with Sound(tmp_path / "x.wav") as sound:
        assert np.concatenate([*sound.floats()]) == pytest.approx([0.5, 1.2, -1.2, 0, 1e-7])


def test_lossy_files_are_decoded_to_24_bits(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.mp3", 0.5 * RAMP.astype(np.float32), 44_100)
    sound, found = samples_of(tmp_path / "x.mp3")
    assert (sound.bit_depth, sound.exact) == (24, False)
    assert len(found) >= 5000


def test_six_channels(tmp_path: Path) -> None:
    values = np.arange(600, dtype=np.int16).reshape(-1, 6)
    soundfile.write(tmp_path / "x.wav", values, 96_000)
    sound, found = samples_of(tmp_path / "x.wav")
    assert (sound.channels, sound.sample_rate) == (6, 96_000)
    assert found == list(range(600))


def test_an_odd_name_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    soundfile.write(path, np.zeros(3), 8000, "PCM_16", format="WAV")
    assert samples_of(path)[0].exact


@pytest.mark.parametrize("contents", [b"", b"hello", b"RIFF\x04\0\0\0WAVE", b"MThd\0\0\0\6"])
def test_what_is_no_audio_is_told(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "x.wav").write_bytes(contents)
    with pytest.raises(ValueError, match=r"x\.wav' is no audio file"):
        Sound(tmp_path / "x.wav")


def test_more_channels_than_a_stream_has_are_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros((10, 40)), 8000)
    with pytest.raises(ValueError, match="40 channels"):
        Sound(tmp_path / "x.wav")
