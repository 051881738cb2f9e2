"""`Racs` and one connection: values that come back, and all that can go wrong on the way."""

import gc
import signal
import socket
import threading
from types import FrameType
from typing import Any

import numpy as np
import pytest

from racs import (
    Racs,
    RacsConnectionError,
    RacsException,
    RacsProtocolError,
    RacsReplyLost,
    RacsServerError,
    RacsTimeout,
    RacsTypeError,
    RacsValueError,
)
from racs.connection import Connection
from racs.wire import Vector, encode_reply, vector_head
from racs.wire.replies import encode_error

from .fake_server import FakeServer, HangUp, until

# --- many commands at once ---


def test_many_commands_are_sent_at_once_and_each_has_its_result(
    server: FakeServer, r: Racs
) -> None:
    server.replies |= {"A": encode_reply(1), "B": encode_error("no"), "C": encode_reply("x")}
    answers = r.execute_commands(["A", "B", "C"] * 300)
    assert len(answers) == 900
    one, refused, x = answers[-3:]
    assert (one, str(refused), x) == (1, "no", "x")
    assert isinstance(refused, RacsServerError)
    assert r.statistics().made == 1


def test_what_has_more_than_one_reply_is_not_sent_with_others(server: FakeServer, r: Racs) -> None:
    with pytest.raises(RacsValueError, match="send it alone"):
        r.execute_commands(["A", "FOLLOW 'x'"])
    assert not server.commands


# --- values ---


@pytest.mark.parametrize("value", [None, True, -5, 1.5, "PONG", ["a", 1, "b"], []])
def test_plain_values(server: FakeServer, r: Racs, value: Any) -> None:
    server.replies["X"] = encode_reply(value)
    answer = r.execute_command("X")
    assert answer == value
    assert type(answer) is type(value)


VECTORS = [
    ("s16v", "int16", [1, -2, 32767]),
    ("u16v", "uint16", [1, 65535]),
    ("s32v", "int32", [1, -2, 8388607]),
    ("u32v", "uint32", [4294967295]),
    ("f32v", "float32", [0.5, -1.0]),
    ("c64v", "complex64", [1 + 2j]),
    ("s32v", "int32", []),
]


@pytest.mark.parametrize(("kind", "dtype", "values"), VECTORS)
@pytest.mark.parametrize("times", [1, 100_000])
def test_vectors(
    server: FakeServer, r: Racs, kind: str, dtype: str, values: list[Any], times: int
) -> None:
    expected = np.array(values * times, dtype)
    server.replies["X"] = encode_reply(Vector(kind, expected.tobytes()))
    answer, other = r.execute_command("X"), r.execute_command("X")
    assert isinstance(answer, np.ndarray)
    assert answer.dtype == np.dtype(dtype)
    assert answer.dtype.isnative
    assert answer.flags.writeable
    assert answer.flags.aligned
    assert (answer == expected).all()
    answer[:] = 0
    assert (other == expected).all(), "each array is its own"
    with Racs("127.0.0.1", server.port, vectors="list") as lists:
        assert lists.execute_command("X") == values * times


@pytest.mark.parametrize("kind", ["u8v", "s8v"])
def test_bytes(server: FakeServer, r: Racs, kind: str) -> None:
    server.replies["X"] = encode_reply(Vector(kind, b"RIFF\xff" * 100_000))
    assert r.execute_command("X") == b"RIFF\xff" * 100_000
    with Racs("127.0.0.1", server.port, vectors="list") as lists:
        assert isinstance(lists.execute_command("X"), bytes)


def test_a_short_array_outlives_the_next_reply(server: FakeServer, r: Racs) -> None:
    server.replies["A"] = encode_reply(Vector("s32v", b"\1\0\0\0" * 50))
    server.replies["B"] = encode_reply(Vector("s32v", b"\2\0\0\0" * 50))
    first = r.execute_command("A")
    assert (r.execute_command("B") == 2).all()
    assert (first == 1).all()


def test_pipeline_end_to_end(server: FakeServer, r: Racs) -> None:
    server.add("chopin", rate=48_000)
    p = r.pipeline()
    assert p.ping().execute() == "PONG"
    assert p.reset().info(stream_id="chopin", attr="sample_rate").execute() == 48_000
    assert server.commands == ["PING", "INFO 'chopin' 'sample_rate'"]


# --- errors of the server ---


def test_error_reply(server: FakeServer, r: Racs) -> None:
    server.replies["OPEN 'a'"] = encode_error("Stream is already open")
    with pytest.raises(RacsException, match=r"^Stream is already open$") as caught:
        r.pipeline().open("a").execute()
    assert type(caught.value) is RacsServerError
    assert caught.value.acknowledged is None


def test_error_before_hanging_up(server: FakeServer, r: Racs) -> None:
    def refuse() -> bytes:
        raise HangUp(encode_error("too many connections"))

    server.replies["PING"] = refuse
    server.replies["INFO 'a' 'sample_rate'"] = refuse
    with pytest.raises(RacsServerError, match="too many connections"):
        r.execute_command("PING")
    if idle := r._pool._slots.idle:
        until(idle[0].readable)
    with pytest.raises(RacsServerError, match="too many connections"):
        r.stream("a", pcm_data=[1, 2])
    assert r.statistics().idle == 0
    del server.replies["PING"]
    assert r.execute_command("PING") == "PONG"


# --- connection troubles ---


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Racs("127.0.0.1", port) as r, pytest.raises(RacsConnectionError) as caught:
        r.execute_command("PING")
    assert str(caught.value) == (
        f"cannot connect to 127.0.0.1:{port} (Connection refused): is racs-server running there?"
        " Start it with `racs-server`, or check host= and port="
    )
    assert isinstance(caught.value, ConnectionError)
    assert isinstance(caught.value, RacsException)


def fail_to_connect(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def create_connection(address: object, timeout: float) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", create_connection)


def test_host_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_connect(monkeypatch, socket.gaierror(-2, "Name or service not known"))
    with Racs("nowhere") as r, pytest.raises(RacsConnectionError) as caught:
        r.execute_command("PING")
    assert str(caught.value) == (
        "cannot connect to nowhere:6381: the host name has no address (Name or service not known);"
        " check host="
    )


def test_host_name_that_cannot_be_one() -> None:
    with Racs("a" * 70) as r, pytest.raises(RacsConnectionError, match="has no address"):
        r.execute_command("PING")


def test_connecting_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_connect(monkeypatch, TimeoutError("timed out"))
    with Racs("::1", connect_timeout=2) as r, pytest.raises(RacsTimeout) as caught:
        r.execute_command("PING")
    assert "no answer from [::1]:6381 within 2.0 s of connecting" in str(caught.value)
    assert isinstance(caught.value, TimeoutError)


def test_localhost_is_tried_at_every_address(server: FakeServer) -> None:
    with Racs("localhost", server.port) as r:
        assert r.execute_command("PING") == "PONG"


def test_a_command_is_not_sent_again(server: FakeServer, r: Racs) -> None:
    def hang_up() -> bytes:
        raise HangUp

    server.replies["CLOSE 'a'"] = hang_up
    with pytest.raises(RacsReplyLost) as caught:
        r.execute_command("CLOSE 'a'")
    assert f"127.0.0.1:{server.port}: the connection ended before the reply came" in str(
        caught.value
    )
    assert "may have been done or not" in str(caught.value)
    assert server.commands == ["CLOSE 'a'"]
    assert r.execute_command("PING") == "PONG"
    assert r.statistics().discarded == 1


@pytest.mark.parametrize("come", [1, 500, 400_000])
def test_reply_cut_in_the_middle(server: FakeServer, r: Racs, come: int) -> None:
    def hang_up() -> bytes:
        raise HangUp(vector_head("s32v", 1 << 20) + bytes(come))

    server.replies["X"] = hang_up
    with pytest.raises(RacsReplyLost) as caught:
        r.execute_command("X")
    whole, head = 8 + 11 + (1 << 20), 8 + 11
    assert f"the reply was cut after {head + come} of {whole} bytes" in str(caught.value)
    assert "smaller ranges" in str(caught.value)
    assert r.execute_command("PING") == "PONG"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\2\0\0\0\0\0\0\0\x91\x01",
        b"\x0b\0\0\0\0\0\0\0\x92\xa4s32v\xc4\3abc",
        bytes(8),
    ],
)
def test_something_else_listens_there(server: FakeServer, r: Racs, answer: bytes) -> None:
    server.replies["PING"] = answer
    with pytest.raises(RacsProtocolError, match="is it racs-server that listens there") as caught:
        r.execute_command("PING")
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    del server.replies["PING"]
    assert r.execute_command("PING") == "PONG"


def test_time_limit_on_replies(server: FakeServer) -> None:
    gate = threading.Event()

    def reply() -> bytes:
        gate.wait()
        return encode_reply("late")

    server.replies["SLOW"] = reply
    with Racs("127.0.0.1", server.port, timeout=0.01) as r:
        with pytest.raises(RacsTimeout, match=r"did not answer for 0\.01 s.*may still be done"):
            r.execute_command("SLOW")
        assert r.statistics().idle == 0, "its late reply must not be taken for another's"
        gate.set()


def test_interrupted_exchange_discards_the_connection(server: FakeServer, r: Racs) -> None:
    """A signal's handler raises while the main thread waits for its reply."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals come to the main thread")
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> bytes:
        signal.pthread_kill(main, signal.SIGUSR1)
        return encode_reply("not for the next one")

    def raise_interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    server.replies["SLOW"] = lambda: interrupt()[:10]
    before = signal.signal(signal.SIGUSR1, raise_interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            r.execute_command("SLOW")
    finally:
        signal.signal(signal.SIGUSR1, before)
    statistics = r.statistics()
    assert (statistics.idle, statistics.busy, statistics.discarded) == (0, 0, 1)
    assert r.execute_command("PING") == "PONG"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RuntimeError])
def test_whatever_interrupts_an_exchange(
    server: FakeServer, r: Racs, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(connection: Connection) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "_fill", fail)
        with pytest.raises(error):
            r.execute_command("PING")
    assert r.statistics().discarded == 1
    assert r.execute_command("PING") == "PONG"
    assert server.accepted == 2


def test_server_that_hangs_up_while_it_is_sent_to(server: FakeServer, r: Racs) -> None:
    text = "x" * (30 << 20)
    server.most_bytes = 100
    with pytest.raises(RacsConnectionError, match=f"127.0.0.1:{server.port}"):
        r.execute_command(text)


# --- the client itself ---


def test_socket_options(server: FakeServer, r: Racs) -> None:
    r.execute_command("PING")
    [connection] = r._pool._slots.idle
    sock = connection._socket
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert repr(connection) == f"<Connection to 127.0.0.1:{server.port}, clean>"


def test_closing(server: FakeServer) -> None:
    with Racs("127.0.0.1", server.port) as r:
        r.execute_command("PING")
        [connection] = r._pool._slots.idle
    assert connection._socket.fileno() == -1
    r.close()


def test_a_client_that_is_forgotten_closes_its_sockets(server: FakeServer) -> None:
    assert Racs("127.0.0.1", server.port).pipeline().ping().execute() == "PONG"
    r = Racs("127.0.0.1", server.port)
    assert r.execute_command("PING") == "PONG"
    circle: list[object] = [r]
    circle.append(circle)
    del r, circle
    gc.collect()


WRONG_SETTINGS: list[tuple[dict[str, Any], type[RacsException], str]] = [
    ({"host": 5}, RacsTypeError, "host must be a str, not 5"),
    ({"port": "6381"}, RacsTypeError, "port must be an int, not '6381'"),
    ({"port": 0}, RacsValueError, "port must be 1 ... 65535, not 0"),
    ({"port": 65_536}, RacsValueError, "port must be 1 ... 65535, not 65536"),
    ({"pool_size": 0}, RacsValueError, "pool_size must be 1 or more, not 0"),
    ({"pool_size": True}, RacsTypeError, "pool_size must be an int, not True"),
    ({"timeout": 0}, RacsValueError, "timeout must be more than 0 seconds"),
    ({"timeout": "1"}, RacsTypeError, "timeout must be a number of seconds, not '1'"),
    ({"connect_timeout": None}, RacsTypeError, "connect_timeout must be a number of seconds"),
    ({"connect_timeout": float("inf")}, RacsValueError, "connect_timeout must be"),
    ({"vectors": "tuple"}, RacsValueError, "vectors must be 'numpy' or 'list', not 'tuple'"),
]


@pytest.mark.parametrize(("settings", "kind", "text"), WRONG_SETTINGS)
def test_wrong_settings(settings: dict[str, Any], kind: type[RacsException], text: str) -> None:
    with pytest.raises(kind) as caught:
        Racs(**settings)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("text", [b"PING", None, 5])
def test_command_that_is_no_text(r: Racs, text: Any) -> None:
    with pytest.raises(RacsTypeError, match="text must be a str"):
        r.execute_command(text)


def test_a_failed_new_client_is_quiet() -> None:
    with pytest.raises(RacsValueError):
        Racs(port=-1)
