"""The client ``racs==0.1.2`` as it is on PyPI, against a real server.

It lives in a virtual environment of its own, since it is imported by the same name as ours.
"""

import base64
import io
import json
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs.wire import stream_hash
from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-racs-0.1.2" / "bin" / "python"
DRIVER = Path(__file__).with_name("driver.py")
RATE = 8000
RNG = np.random.default_rng(3)

Call = list[Any]


class Client:
    """Calls of the old client, made in its own interpreter."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, *calls: Call) -> list[Any]:
        """Return what each call gave, or a `RuntimeError` for one that failed."""
        done = subprocess.run(
            [PYTHON, DRIVER],
            input=json.dumps({"port": self._port, "calls": calls}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return [self._value(outcome) for outcome in json.loads(done.stdout)]

    @staticmethod
    def _value(outcome: dict[str, Any]) -> Any:
        if "error" in outcome:
            return RuntimeError(outcome["error"])
        value = outcome["value"]
        if isinstance(value, dict):
            return base64.b64decode(value["bytes"])
        return value


@pytest.fixture
def client(daemon: Daemon) -> Client:
    if not PYTHON.exists():
        pytest.fail(
            f"{PYTHON} is missing: run scripts/test, which makes this virtual environment with"
            " racs==0.1.2 in it, or `sh scripts/compat.sh`, which makes nothing else"
        )
    return Client(daemon.port)


def create(stream_id: str, channels: int = 2, depth: int = 16) -> Call:
    keywords = {
        "stream_id": stream_id,
        "sample_rate": RATE,
        "channels": channels,
        "bit_depth": depth,
    }
    return pipeline(("create", keywords))


def pipeline(*steps: tuple[str, dict[str, Any]]) -> Call:
    return ["pipeline", [list(step) for step in steps]]


def range_(stream_id: str, start: float, duration: float) -> tuple[str, dict[str, Any]]:
    return ("range", {"stream_id": stream_id, "start": start, "duration": duration})


def noise(frames: int, channels: int = 2, depth: int = 16) -> npt.NDArray[np.int64]:
    return RNG.integers(-(1 << depth - 1), 1 << depth - 1, (frames, channels))


def flat(array: npt.NDArray[Any]) -> list[int]:
    values: list[int] = array.ravel().tolist()
    return values


def test_streams_metadata_and_lists(client: Client) -> None:
    values = noise(1000)
    created, again, sent, listed, *metadata = client.ask(
        create("chopin"),
        create("chopin"),
        ["stream", "chopin", {}, flat(values)],
        pipeline(("list", {"pattern": "ch*"})),
        *[
            pipeline(("meta", {"stream_id": "chopin", "attr": name}))
            for name in ("sample_rate", "channels", "bit_depth", "size", "ref")
        ],
    )
    assert created is None
    assert "exists" in str(again)
    assert not isinstance(sent, RuntimeError), sent
    assert listed == ["chopin"]
    assert metadata[:4] == [RATE, 2, 16, 4000]
    assert metadata[4] > 1_600_000_000_000


@pytest.mark.parametrize("depth", [16, 24])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"chunk_size": 1024, "batch_size": 3},
        {"chunk_size": 32768, "batch_size": 1},
        {"chunk_size": 600, "batch_size": 50, "compression": True, "compression_level": 8},
        {"compression": True},
        {"chunk_size": 12, "batch_size": 1000},
    ],
    ids=str,
)
def test_what_it_sends_comes_back(client: Client, depth: int, settings: dict[str, Any]) -> None:
    values = noise(5000, depth=depth)
    values[1000:2000] = 0
    *_, sent, back, part = client.ask(
        create("beethoven", depth=depth),
        ["stream", "beethoven", settings, flat(values)],
        pipeline(range_("beethoven", 0.0, 10.0)),
        pipeline(range_("beethoven", 0.1, 0.25)),
    )
    assert not isinstance(sent, RuntimeError), sent
    assert back == flat(values)
    assert part == flat(values[800:2800])


def test_a_session_goes_on_where_the_last_one_ended(client: Client) -> None:
    first, second = noise(100), noise(50)
    *_, back = client.ask(
        create("chopin"),
        ["stream", "chopin", {}, flat(first)],
        ["stream", "chopin", {}, flat(second)],
        pipeline(range_("chopin", 0.0, 10.0)),
    )
    assert back == flat(np.concatenate([first, second]))


def saturated(values: npt.NDArray[np.floating[Any]], depth: int) -> npt.NDArray[np.int64]:
    whole: npt.NDArray[np.int64] = np.clip(
        np.rint(values), -(1 << depth - 1), (1 << depth - 1) - 1
    ).astype(np.int64)
    return whole


def faded(values: npt.NDArray[np.int64], frames_in: int, frames_out: int) -> npt.NDArray[Any]:
    envelope = np.ones(len(values))
    envelope[:frames_in] *= np.arange(frames_in) / frames_in
    envelope[len(values) - frames_out :] *= np.arange(frames_out)[::-1] / frames_out
    return values * envelope[:, None]


Process = Callable[[npt.NDArray[np.int64]], npt.NDArray[Any]]
PROCESSES: list[tuple[str, dict[str, Any], Process]] = [
    ("gain", {"gain": 0.8}, lambda v: v * 0.8),
    ("gain", {"gain": 2.5}, lambda v: v * 2.5),
    ("trim", {"left": 0.01, "right": 0.02}, lambda v: v[80:-160]),
    ("pad", {"left": 0.01, "right": 0.02}, lambda v: np.pad(v, ((80, 160), (0, 0)))),
    ("clip", {"min_val": -100, "max_val": 5000}, lambda v: np.clip(v, -100, 5000)),
    ("pan", {"pan": 0.25}, lambda v: v * np.array([0.75, 1.0])),
    ("pan", {"pan": -1.0}, lambda v: v * np.array([1.0, 0.0])),
    ("split", {"channel": 1}, lambda v: v[:, 1:]),
]


@pytest.mark.parametrize("depth", [16, 24])
def test_processing_is_what_numpy_makes_of_it(client: Client, depth: int) -> None:
    values = noise(4000, depth=depth)
    results = client.ask(
        create("chopin", depth=depth),
        ["stream", "chopin", {}, flat(values)],
        *[
            pipeline(range_("chopin", 0.0, 10.0), (name, keywords))
            for name, keywords, _ in PROCESSES
        ],
    )[2:]
    for (name, keywords, process), result in zip(PROCESSES, results, strict=True):
        expected = flat(saturated(process(values), depth))
        assert result == expected, (name, keywords)


def test_fades(client: Client) -> None:
    values = noise(4000)
    keywords = {"in_sec": 0.1, "out_sec": 0.2}
    *_, result = client.ask(
        create("chopin"),
        ["stream", "chopin", {}, flat(values)],
        pipeline(range_("chopin", 0.0, 10.0), ("fade", keywords)),
    )
    assert result == flat(saturated(faded(values, 800, 1600), 16))


def test_a_chain(client: Client) -> None:
    values = noise(4000)
    *_, result = client.ask(
        create("chopin"),
        ["stream", "chopin", {}, flat(values)],
        pipeline(
            range_("chopin", 0.125, 0.25),
            ("gain", {"gain": 0.5}),
            ("split", {"channel": 0}),
            ("pad", {"left": 0.0, "right": 0.001}),
        ),
    )
    expected = saturated(values[1000:3000, :1] * 0.5, 16)
    assert result == flat(np.pad(expected, ((0, 8), (0, 0))))


@pytest.mark.parametrize("depth", [16, 24])
def test_encoded_files_hold_the_audio(client: Client, depth: int) -> None:
    values = noise(4000, depth=depth)
    *_, wav, flac = client.ask(
        create("chopin", depth=depth),
        ["stream", "chopin", {}, flat(values)],
        pipeline(range_("chopin", 0.0, 10.0), ("encode", {"mime_type": "audio/wav"})),
        pipeline(range_("chopin", 0.0, 10.0), ("encode", {"mime_type": "audio/flac"})),
    )
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (
            RATE,
            2,
            depth // 8,
        )
    for encoded in (wav, flac):
        found, rate = soundfile.read(io.BytesIO(encoded), dtype="int32", always_2d=True)
        assert rate == RATE
        assert np.array_equal(found >> 32 - depth, values)


def test_other_calls_and_errors(client: Client) -> None:
    ping, command, opened, twice, closed, unknown, missing = client.ask(
        pipeline(("ping", {})),
        ["command", "PING"],
        ["command", "CREATE 'chopin' 8000 1 16 |> OPEN 'chopin'"],
        pipeline(("open", {"stream_id": "chopin"})),
        pipeline(("close", {"stream_id": "chopin"})),
        ["command", "NOPE"],
        pipeline(range_("nope", 0.0, 1.0)),
    )
    assert (ping, command, opened, closed) == ("PONG", "PONG", None, None)
    assert "Stream is already open" in str(twice)
    assert str(unknown).startswith("RacsException")
    assert "nope" in str(missing)


def test_an_id_whose_hash_has_the_top_bit_set_fails_in_it_but_not_in_ours(
    daemon: Daemon, client: Client
) -> None:
    assert stream_hash("vocals") >> 63
    assert not stream_hash("chopin") >> 63
    _, sent = client.ask(create("vocals"), ["stream", "vocals", {}, [1, 2]])
    assert "argument out of range" in str(sent), "if it was mended, use such ids in all tests"
    with daemon.client() as racs:
        racs.execute_command("CLOSE 'vocals'")
        racs.execute_command("CREATE 'chopin' 8000 2 16")
        for stream_id in ("vocals", "chopin"):
            assert racs.stream(stream_id).execute([1, 2, 3, 4]) == 2
    assert client.ask(pipeline(range_("vocals", 0.0, 1.0))) == [[1, 2, 3, 4]]


def test_shutdown(daemon: Daemon, client: Client) -> None:
    assert client.ask(pipeline(("shutdown", {}))) == [None]
    assert daemon.process.wait(timeout=20) == 0
