"""Audio into a stream over HTTP: files, and PCM as it comes."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from racs_server.storage import Store
from racs_server.values import AudioFormat
from tests.gateway.conftest import MakeClient

SAMPLES = np.random.default_rng(2).integers(-32768, 32768, (40_000, 2)).astype(np.int16)
DATA = Path(__file__).parents[1] / "data"
URL = "/streams/x/audio"


def stored(store: Store, depth: int = 16) -> np.ndarray:
    info = store.info("x")
    assert not info.is_open
    pcm = b"".join(bytes(piece) for piece in store.read(store.plan("x", 0, info.frames)))
    if depth == 16:
        return np.frombuffer(pcm, "<i2")
    packed = np.frombuffer(pcm, np.uint8).reshape(-1, 3)
    return (np.pad(packed, ((0, 0), (1, 0))).reshape(-1).view("<i4")) >> 8


def file_of(samples: np.ndarray, format_: str, subtype: str, rate: int = 44100) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=format_)
    return file.getvalue()


@pytest.fixture(autouse=True)
def stream(store: Store) -> None:
    store.create("x", AudioFormat(44100, 2, 16))


@pytest.mark.parametrize("format_", ["WAV", "FLAC", "AIFF"])
async def test_a_file(client: httpx.AsyncClient, store: Store, format_: str) -> None:
    kind = {"Content-Type": f"audio/{format_.lower()}"}
    contents = file_of(SAMPLES, format_, "PCM_16")
    first = await client.post(URL, content=contents, headers=kind)
    assert first.json() == {"frames": 40_000, "start": 0, "stop": 40_000}
    assert (stored(store) == SAMPLES.reshape(-1)).all()
    second = await client.post(URL, content=contents, headers=kind)
    assert second.json() == {"frames": 40_000, "start": 40_000, "stop": 80_000}


async def test_files_keep_their_level(client: httpx.AsyncClient, store: Store) -> None:
    kind = {"Content-Type": "audio/wav"}
    store.delete("x")
    store.create("x", AudioFormat(44100, 2, 24))
    left_justified = np.array([[-(2**31), 2**31 - 256], [256, -512]], np.int32)
    await client.post(URL, content=file_of(left_justified, "WAV", "PCM_24"), headers=kind)
    await client.post(URL, content=file_of(SAMPLES[:2], "WAV", "PCM_16"), headers=kind)
    floats = np.array([[0.5, -1.0], [2.0, 1.5 / 2**23]])
    await client.post(URL, content=file_of(floats, "WAV", "FLOAT"), headers=kind)
    got = stored(store, 24).reshape(-1, 2)
    assert (got[:2] == left_justified >> 8).all()
    assert (got[2:4] == SAMPLES[:2].astype(np.int32) << 8).all()
    assert got[4:].tolist() == [[2**22, -(2**23)], [2**23 - 1, 2]]


@pytest.mark.parametrize("name", ["field_sauna_44k_stereo.ogg", "music_guitar_44k_stereo.flac"])
async def test_real_files(client: httpx.AsyncClient, store: Store, name: str) -> None:
    contents = (DATA / name).read_bytes()
    response = await client.post(URL, content=contents, headers={"Content-Type": "audio/x"})
    assert response.status_code == 200
    kind = "float64" if name.endswith("ogg") else "int16"
    expected, _ = soundfile.read(io.BytesIO(contents), dtype=kind)
    if kind == "float64":
        expected = np.rint(expected * 32768).clip(-32768, 32767)
    assert (stored(store) == expected.reshape(-1)).all()


@pytest.mark.parametrize(
    ("kind", "order"),
    [("audio/L16; rate=44100; channels=2", ">i2"), ("audio/x-raw", "<i2")],
)
async def test_pcm_as_it_comes(
    client: httpx.AsyncClient, store: Store, kind: str, order: str
) -> None:
    pcm = SAMPLES.astype(order).tobytes()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(pcm), 9_999):
            yield pcm[start : start + 9_999]

    response = await client.post(URL, content=pieces(), headers={"Content-Type": kind})
    assert response.json() == {"frames": 40_000, "start": 0, "stop": 40_000}
    assert (stored(store) == SAMPLES.reshape(-1)).all()


@pytest.mark.parametrize(
    ("kind", "content", "status", "detail"),
    [
        ("audio/wav", b"RIFF and so on", 422, "no audio file"),
        ("audio/wav", file_of(SAMPLES[:9], "WAV", "PCM_16", 8000), 422, "44100 Hz, 2 channels"),
        ("audio/wav", file_of(SAMPLES[:9, 0], "WAV", "PCM_16"), 422, "with 1 channels"),
        ("audio/wav", file_of(SAMPLES[:9], "WAV", "PCM_24"), 422, "lose bits"),
        ("audio/wav", file_of(SAMPLES[:9] / 1.0, "WAV", "FLOAT"), 422, "lose bits"),
        ("audio/l16;rate=44100", b"", 422, "channels=1"),
        ("audio/l16;channels=2", b"", 400, "needs its rate"),
        ("audio/l24;rate=44100;channels=2", b"", 422, "24 bits"),
        ("audio/x-raw", bytes(4 * 10 + 3), 422, "3 bytes of an incomplete sample frame"),
        ("text/plain", b"", 415, "audio/flac"),
    ],
)
async def test_what_does_not_fit(
    client: httpx.AsyncClient, store: Store, kind: str, content: bytes, status: int, detail: str
) -> None:
    response = await client.post(URL, content=content, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["status"]) == (status, status)
    assert detail in response.json()["detail"]
    assert not store.info("x").is_open


async def test_an_error_tells_how_much_was_taken(client: httpx.AsyncClient, store: Store) -> None:
    kind = {"Content-Type": "audio/x-raw"}
    response = await client.post(URL, content=bytes(43), headers=kind)
    assert response.json()["detail"].endswith("10 sample frames were taken")
    assert store.info("x").frames == 10


async def test_a_client_that_says_nothing_loses_its_turn(
    make_client: MakeClient, store: Store, autojump_clock: object
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(40)
        import trio

        await trio.sleep_forever()

    async with make_client() as client:
        kind = {"Content-Type": "audio/x-raw"}
        response = await client.post(URL, content=pieces(), headers=kind)
    assert response.status_code == 408
    assert response.json()["detail"].endswith("10 sample frames were taken")
    assert not store.info("x").is_open


async def test_an_open_stream_is_somebody_elses(client: httpx.AsyncClient, store: Store) -> None:
    store.open_stream("x")
    kind = {"Content-Type": "audio/x-raw"}
    response = await client.post(URL, content=bytes(40), headers=kind)
    assert response.status_code == 409
    assert store.info("x").is_open
    assert store.info("x").frames == 0


async def test_a_body_that_is_too_large(make_client: MakeClient, store: Store) -> None:
    async with make_client(max_spool=1 << 20) as client:
        kind = {"Content-Type": "audio/wav"}
        response = await client.post(URL, content=bytes((1 << 20) + 1), headers=kind)
    assert response.status_code == 413
