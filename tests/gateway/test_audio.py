"""A stream's audio as files: the bytes that EXTRACT and FORMAT give, and ranges of them."""

import gc
from pathlib import Path

import httpx
import numpy as np
import pytest
import trio

from racs_server.audio.codecs import CODECS
from racs_server.commands import Encoding, Executor
from racs_server.gateway.audio import FORMATS, Moment, written
from racs_server.storage import Store
from racs_server.values import AudioFormat, EncodedPlan, StreamInfo
from tests.gateway.conftest import MakeClient
from tests.gateway.filling import fill

URL = "/streams/birds/wren/audio"
RATE = 8000


@pytest.fixture
def samples(store: Store) -> np.ndarray:
    samples = np.random.default_rng(1).integers(-20_000, 20_000, 2 * 30_001)
    fill(store, "birds/wren", samples, RATE, 2)
    return samples


async def made(store: Store, folder: Path, command: str) -> bytes:
    """Return the file that a command gives."""
    encoded = await Executor(store, lambda: None).run(command)
    assert isinstance(encoded, EncodedPlan)
    encoding = Encoding(store, encoded, folder)
    while encoding.size is None:
        encoding.advance()
    contents = b"".join(bytes(piece) for piece in iter(encoding.read, None))
    encoding.close()
    return contents


def test_every_format_has_a_name() -> None:
    assert set(FORMATS.values()) == {codec.mime_type for codec in CODECS}


async def test_a_wav_of_all(client: httpx.AsyncClient, samples: np.ndarray) -> None:
    response = await client.get(URL)
    assert response.status_code == 200
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["accept-ranges"] == "bytes"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.content[44:] == samples.astype("<i2").tobytes()
    assert 'filename="birds_wren_20' in response.headers["content-disposition"]


@pytest.mark.parametrize("name", FORMATS)
async def test_the_bytes_are_those_of_the_commands(
    client: httpx.AsyncClient, store: Store, samples: np.ndarray, tmp_path: Path, name: str
) -> None:
    options: dict[str, str | float] = {"format": name, "from": 0.5, "to": 1.5}
    way = f"RANGE 'birds/wren' 0.5 1 |> FORMAT '{FORMATS[name]}' {RATE} 2"
    expected = await made(store, tmp_path, f"{way} {24 if name == 'l24' else 16}")
    response = await client.get(URL, params=options)
    assert response.content == expected
    again = await client.get(URL, params=options)
    assert again.content == expected
    assert again.headers["etag"] == response.headers["etag"]


async def test_conversion(
    client: httpx.AsyncClient, store: Store, samples: np.ndarray, tmp_path: Path
) -> None:
    options: dict[str, str | int] = {"format": "audio/flac", "rate": 16000, "channels": 1}
    options["depth"] = 24
    expected = await made(
        store, tmp_path, "RANGE 'birds/wren' 0 100 |> FORMAT 'audio/flac' 16000 1 24"
    )
    assert (await client.get(URL, params=options)).content == expected
    l16 = await client.get(URL, params={"format": "l16", "rate": 4000})
    assert l16.headers["content-type"] == "audio/l16;rate=4000;channels=2"
    mp3 = await client.get(URL, params={"format": "mp3", "bitrate": 64})
    assert mp3.content == await made(
        store, tmp_path, "RANGE 'birds/wren' 0 100 |> ENCODE 'audio/mpeg' 64"
    )


@pytest.mark.parametrize("name", ["wav", "raw", "l16", "aiff", "bwf", "dat", "flac", "opus"])
@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 0), (43, 47), (45, 46), (401, 603), (100, None), (None, 1), (None, 99)],
)
async def test_a_range_is_cut_out_of_the_whole(
    client: httpx.AsyncClient,
    samples: np.ndarray,
    name: str,
    start: int | None,
    stop: int | None,
) -> None:
    whole = await client.get(URL, params={"format": name})
    range_ = f"bytes={'' if start is None else start}-{'' if stop is None else stop}"
    response = await client.get(URL, params={"format": name}, headers={"Range": range_})
    assert response.status_code == 206
    size = len(whole.content)
    first = size - (stop or 0) if start is None else start
    last = size - 1 if start is None or stop is None else stop
    assert response.content == whole.content[first : last + 1]
    assert response.headers["content-range"] == f"bytes {first}-{last}/{size}"
    assert int(response.headers["content-length"]) == len(response.content)


async def test_a_range_of_odd_pcm_has_its_padding(client: httpx.AsyncClient, store: Store) -> None:
    store.create("odd", AudioFormat(RATE, 1, 24))
    store.open_stream("odd")
    store.feed("odd", [bytes(range(9))])
    store.close_stream("odd")
    for start in range(54):
        response = await client.get("/streams/odd/audio", headers={"Range": f"bytes={start}-"})
        assert response.content == ((await client.get("/streams/odd/audio")).content)[start:]


async def test_conditions(client: httpx.AsyncClient, samples: np.ndarray) -> None:
    etag = (await client.get(URL)).headers["etag"]
    known = await client.get(URL, headers={"If-None-Match": etag})
    assert (known.status_code, known.content) == (304, b"")
    other = {"Range": "bytes=0-9", "If-Range": '"other"'}
    assert (await client.get(URL, headers=other)).status_code == 200
    same = {"Range": "bytes=0-9", "If-Range": etag}
    assert (await client.get(URL, headers=same)).status_code == 206
    behind = await client.get(URL, headers={"Range": "bytes=999999-"})
    assert behind.status_code == 416
    assert behind.headers["content-range"] == f"bytes */{44 + 4 * 30_001}"
    assert behind.headers["content-type"] == "application/problem+json"


async def test_what_has_grown_has_another_tag(client: httpx.AsyncClient, store: Store) -> None:
    fill(store, "x", np.zeros(10))
    before = (await client.get("/streams/x/audio")).headers["etag"]
    store.open_stream("x")
    store.feed("x", [bytes(2)])
    assert (await client.get("/streams/x/audio")).headers["etag"] != before


async def test_head_tells_what_get_would(client: httpx.AsyncClient, samples: np.ndarray) -> None:
    got, head = await client.get(URL), await client.head(URL)
    assert head.content == b""
    for name in ("content-length", "etag", "content-type", "accept-ranges", "content-disposition"):
        assert head.headers[name] == got.headers[name]
    assert "content-length" not in (await client.head(URL, params={"format": "mp3"})).headers


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/streams/nope/audio", 404, "there is no stream 'nope'"),
        (URL + "?format=xyz", 400, "there is no format 'xyz'"),
        (URL + "?from=yesterday", 400, "expected a time"),
        (URL + "?from=2023-02-30T00:00:00Z", 400, "expected a time"),
        (URL + "?rate=0", 400, "expected 1 to"),
        (URL + "?depth=20", 400, "16 or 24"),
        (URL + "?format=wav&bitrate=3", 400, "no bit rate"),
        (URL + "?format=mp3&bitrate=3", 400, "bit rate of 3"),
        (URL + "?" + "x" * 2000, 400, "no parameter"),
    ],
)
async def test_what_is_wrong(
    client: httpx.AsyncClient, samples: np.ndarray, path: str, status: int, detail: str
) -> None:
    response = await client.get(path)
    assert response.status_code == status
    assert detail in response.json()["detail"]


INFO = StreamInfo("x", 1, AudioFormat(44_100, 2, 16), 1_700_000_000_123, 10**9, False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "2023-11-14T22:13:20.123000000Z"),
        ("1.5", "2023-11-14T22:13:21.623000000Z"),
        ("0.0000000001", "2023-11-14T22:13:20.123000001Z"),
        ("-1", "2023-11-14T22:13:19.123000000Z"),
        ("1700000000123", "2023-11-14T22:13:20.123000000Z"),
        ("1700000000123.5", "2023-11-14T22:13:20.123500000Z"),
        ("2023-11-14T22:13:20.123456789Z", "2023-11-14T22:13:20.123456789Z"),
        ("2023-11-15T00:13:20+02:00", "2023-11-14T22:13:20.000000000Z"),
        ("2023-11-15T00:13:20 02:00", "2023-11-14T22:13:20.000000000Z"),
        ("99999999999", "5192-09-29T07:59:59.123000000Z"),
        ("999999999999999999", "9999-12-31T23:59:59Z"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert written(Moment(text).instant(INFO)) == expected


@pytest.mark.parametrize("text", ["", "x", "1e5", "nan", "inf", "--1", ".", "1" * 40, "٣"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="a time"):
        Moment(text)


async def test_a_client_that_leaves_ends_the_work(
    make_client: MakeClient, store: Store, samples: np.ndarray
) -> None:
    """Its temporary file is closed, which a warning would tell of."""
    async with make_client() as client:
        with trio.move_on_after(0.005):
            await client.get(URL, params={"format": "opus", "rate": 48000})
    gc.collect()
