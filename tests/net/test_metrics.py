"""The page of metrics: what it has, who may read it, and what bad requests to it do."""

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from racs_server.net import Guard, MetricsServer, Watch, read_figures
from racs_server.net.exposition import Exposition
from racs_server.net.figures import FIGURES
from racs_server.net.metrics import converse
from racs_server.net.watching import Request, Result
from racs_server.values import Histogram
from tests.access.users import TOKEN, access_to


async def ask(raw: bytes, guard: Guard | None = None) -> str:
    """Send bytes to the metrics server, and return all that it answers."""
    server = MetricsServer(lambda: b"racs_up 1\n", "text/plain", guard or Guard())
    ours, its = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        answer = partial(server._answer, "127.0.0.1")
        nursery.start_soon(converse, its, answer)
        await ours.send_all(raw)
        await ours.send_eof()
        text = b""
        while not text.endswith(b"\n"):
            data = await ours.receive_some()
            assert data
            text += data
    return text.decode()


def get(path: str = "/metrics", *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: here", *headers, "", ""]).encode()


async def test_the_page() -> None:
    text = await ask(get())
    assert text.startswith("HTTP/1.1 200")
    assert text.endswith("\r\n\r\nracs_up 1\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (get("/"), 404),
        (b"POST /metrics HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\n\r\n", 404),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nhost: " + b"x" * 100_000, 431),
    ],
)
async def test_a_bad_request_is_refused(raw: bytes, status: int) -> None:
    assert (await ask(raw)).startswith(f"HTTP/1.1 {status}")


@pytest.fixture
def guard(tmp_path: Path) -> Guard:
    return Guard(access_to(tmp_path / "users.json"))


async def test_with_users_a_token_is_needed(
    guard: Guard, autojump_clock: trio.testing.MockClock
) -> None:
    for headers in ([], ["authorization: Bearer racs_wrong"], ["authorization: Basic YTpi"]):
        text = await ask(get("/metrics", *headers), guard)
        assert text.startswith("HTTP/1.1 401")
        assert "racs_up" not in text
        assert "wrong" not in text
    text = await ask(get("/metrics", f"Authorization: bearer {TOKEN}"), guard)
    assert text.startswith("HTTP/1.1 200")


def test_every_figure_has_a_metric() -> None:
    parts = {figure.part for figure in FIGURES}
    values = {figure.key: 1 for figure in FIGURES}
    watch = Watch()
    for milliseconds in (0.2, 3):
        request = Request(1, 1, 0.0, 0, "PING", 0, Result.OK)
        watch.note(request, milliseconds / 1e3)
    syncs = Histogram()
    figures = partial(read_figures, {part: lambda: values for part in parts})
    page = Exposition("1.2.3", figures, watch, syncs).page().decode()
    for figure in FIGURES:
        assert f"\nracs_{figure.name}{'_total' * figure.grows} 1.0\n" in page
    assert 'racs_info{version="1.2.3"} 1.0' in page
    assert 'racs_request_seconds_bucket{command="PING",le="0.00025",result="ok"} 1.0' in page
    assert 'racs_request_seconds_bucket{command="PING",le="+Inf",result="ok"} 2.0' in page
    assert 'racs_request_seconds_count{command="PING",result="ok"} 2.0' in page
    assert "racs_sync_seconds_count 0.0" in page


def test_parts_that_are_not_there_are_left_out() -> None:
    figures = read_figures({"evaluators": lambda: {"idle": 2, "evaluating": 0, "replaced": 1}})
    assert figures == {"eval_workers_idle": 2, "eval_workers_busy": 0, "eval_workers_replaced": 1}
