"""Sounds of every kind, and files of odd names, through the client of runes as it is on PyPI.

What a rune hands over is in the archive to the sample, although the client converts it.
"""

import math
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.runes.hub import NEEDS_CLIENT, HubDaemon, Launched, Page

pytestmark = NEEDS_CLIENT

KEEPING = Path(__file__).with_name("keeping_rune.py")
RATE = 44_100
TIME = np.arange(RATE // 4) / RATE
TONE = np.stack([0.5 * np.sin(2 * np.pi * 441 * TIME), 0.3 * np.sin(2 * np.pi * 147 * TIME)], 1)
NOISE = np.random.default_rng(3).uniform(-0.9, 0.9, (RATE // 4, 6))
LONG = "long" * 60

SOUNDS = {
    "deep.flac": (NOISE[:, :2], RATE, "PCM_24"),
    "deep.wav": (NOISE[:, :2], 48_000, "PCM_24"),
    "eight.wav": (TONE, 8000, "PCM_U8"),
    "float.wav": (1.8 * TONE, RATE, "FLOAT"),
    "mono.aiff": (TONE[:, 0], 22_050, "PCM_16"),
    "six.wav": (NOISE, RATE, "PCM_16"),
    "tone.mp3": (TONE, RATE, "MPEG_LAYER_III"),
    "tone.ogg": (TONE, RATE, "VORBIS"),
    "UPPER.WAV": (TONE, RATE, "PCM_16"),
    "naïve 日本 🎵.wav": (TONE, RATE, "PCM_16"),
    "a%2Fb&c=#;x y.wav": (TONE, RATE, "PCM_16"),
    f"{LONG}.wav": (TONE, RATE, "PCM_16"),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDaemon]:
    with HubDaemon(tmp_path_factory.mktemp("hub") / "archive") as running:
        yield running


@pytest.fixture(scope="module")
def rune(hub: HubDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    with Launched(hub.hub, tmp_path_factory.mktemp("rune"), "Keeping", script=KEEPING) as running:
        yield running


@pytest.fixture(scope="module")
def page(hub: HubDaemon, rune: Launched) -> Iterator[Page]:
    with Page(hub.hub) as page:
        yield page


@pytest.fixture(scope="module")
def token(page: Page) -> str:
    found: str = page.rune("Keeping")["token"]
    return found


@pytest.fixture(scope="module")
def sounds(rune: Launched) -> Path:
    """A folder of sounds of every kind."""
    folder = rune.scratch / "sounds"
    folder.mkdir()
    for name, (samples, rate, subtype) in SOUNDS.items():
        soundfile.write(folder / name, samples, rate, subtype=subtype)
    return folder


def exact(path: Path) -> tuple[np.ndarray, int, bool]:
    """Return a file's samples and bit depth as a stream has them, and whether that is all."""
    subtype = soundfile.info(path).subtype
    depth = {"PCM_U8": 16, "PCM_16": 16, "PCM_24": 24}.get(subtype)
    if depth is not None:
        return soundfile.read(path, dtype="int32")[0] >> (32 - depth), depth, True
    most = 1 << 23
    samples = np.rint(soundfile.read(path)[0] * most).clip(-most, most - 1)
    return samples.astype(np.int32), 24, False


def check_stream(hub: HubDaemon, stream_id: str, path: Path) -> None:
    """Compare a stream with a file to the sample; what it cannot hold is attached to it."""
    samples, depth, is_all = exact(path)
    known = soundfile.info(path)
    with hub.client() as racs:
        found = np.array(racs.execute_command(f"RANGE '{stream_id}' 0 1000000"))
        format_ = [
            racs.execute_command(f"INFO '{stream_id}' '{what}'")
            for what in ("sample_rate", "channels", "bit_depth")
        ]
        attached = [racs.attachment(stream_id, each) for each in racs.attachments(stream_id)]
    assert format_ == [known.samplerate, known.channels, depth]
    assert found.tolist() == samples.ravel().tolist()
    assert attached == ([] if is_all else [path.read_bytes()])


def test_sounds_are_kept_as_they_are_handed_over(
    hub: HubDaemon, page: Page, token: str, sounds: Path
) -> None:
    run = page.ended(page.run(token, give="sounds"))
    assert (run["state"], run["error"]) == ("completed", None)
    made = {each["name"]: each for each in run["outputs"]}
    assert set(made) == set(SOUNDS)
    for name, each in made.items():
        path = sounds / name
        assert each["type"] == "audio"
        assert each["sha256"] == sha256(path.read_bytes()).hexdigest()
        assert httpx.get(each["url"]).content == path.read_bytes()
        assert len(each["stream"].encode()) <= 255
        check_stream(hub, each["stream"], path)


@pytest.mark.parametrize("name", ["deep.flac", "float.wav", "six.wav", "tone.mp3", f"{LONG}.wav"])
def test_sounds_are_kept_as_they_are_given(
    hub: HubDaemon, rune: Launched, page: Page, token: str, sounds: Path, name: str
) -> None:
    page.ask("PUT", f"runes/{token}/target", json={"bit_depth": 24})
    run = page.ended(page.run(token, sound=page.upload(sounds / name)))
    assert (run["state"], run["error"]) == ("completed", None)
    (given,) = run["inputs"]
    check_stream(hub, given["stream"], sounds / name)
    got, rate = soundfile.read(rune.scratch / "got.wav", always_2d=True)
    assert (rate, got.shape[1]) == (RATE, 2)
    wanted = soundfile.read(sounds / name, always_2d=True)[0]
    if name == "float.wav":
        assert np.abs(wanted).max() > 0.89
    if name != "six.wav":
        assert np.abs(got - given.get("gain", 1.0) * wanted).max() <= 2**-23
    else:
        # ITU-R BS.775-3: front, and the centre and the surrounds 3 dB softer; gain against clipping
        mixed = wanted[:, :2] + math.sqrt(0.5) * (wanted[:, [2]] + wanted[:, 4:])
        factor = np.vdot(got, mixed) / np.vdot(mixed, mixed)
        assert np.abs(got - factor * mixed).max() < 2**-20
        assert np.abs(got).max() < 1
