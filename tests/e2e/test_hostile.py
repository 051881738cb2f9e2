"""Many clients that behave badly at once: nobody else waits, and the memory stays bounded."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

from racs.wire import encode_command
from tests.e2e.daemon import Daemon

MIB = 1 << 20
BAD = [
    encode_command("ATTACHMENT 'mic' 'large'"),
    encode_command("RANGE 'mic' 0 3600"),
    encode_command("RANGE 'mic' 0 60 |> ENCODE 'audio/flac'"),
    encode_command("FOLLOW 'mic' 0.0"),
    encode_command("ATTACH 'mic' 'never'") + (90 * MIB).to_bytes(8, "little") + bytes(MIB),
    (48 * MIB).to_bytes(8, "little") + b"rsp" + bytes(MIB),
    b"\xff" * 3000,
    encode_command("PING") * 20_000,
]


def attack(port: int, sent: bytes) -> socket.socket:
    """Connect and send as much as is taken at once; nothing is ever read."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    client.send(sent)
    return client


def ask(client: socket.socket, command: str = "PING") -> bytes:
    """Return the first reply to a command, without its length."""
    client.sendall(encode_command(command))
    length = int.from_bytes(client.recv(8, socket.MSG_WAITALL), "little")
    return client.recv(length, socket.MSG_WAITALL)


def test_who_comes_when_all_connections_are_taken_is_told_so(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive", "--max-connections", "3") as daemon, ExitStack() as all_:

        def connect() -> socket.socket:
            return all_.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))

        clients = [connect() for _ in range(3)]
        assert all(b"PONG" in ask(client) for client in clients)
        assert b"all 3 connections are taken: try again later" in ask(connect())
        clients[0].close()
        deadline = time.monotonic() + 10
        while b"PONG" not in ask(connect()):
            assert time.monotonic() < deadline
        assert b"PONG" in ask(clients[1])


def test_many_bad_clients_hold_nobody_up_and_end_with_the_server(tmp_path: Path) -> None:
    with (
        Daemon(tmp_path / "archive", "--memory-budget", str(256 * MIB)) as daemon,
        ExitStack() as all_,
    ):
        with daemon.client(timeout=20) as r:
            r.execute_command("CREATE 'mic' 48000 2 24")
            r.execute_command("OPEN 'mic'")
            r.execute_command(
                "EVAL '(vector->audio #s32(0 0) 48000 2 24)' |> PAD 60 0 |> STREAM 'mic'"
            )
            r.attach("mic", "large", bytes(30 * MIB))
            for number in range(240):
                all_.enter_context(attack(daemon.port, BAD[number % len(BAD)]))
            slowest = 0.0
            for _ in range(50):
                began = time.monotonic()
                assert r.execute_command("INFO 'mic' 'channels'") == 2
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.02)
            assert slowest < 2
            figures = r.execute_command("STATS")
            leased = figures[figures.index("memory_leased_bytes") + 1]
            assert leased <= 256 * MIB
            assert daemon.memory() < 800 * MIB
            began = time.monotonic()
            r.execute_command("SHUTDOWN")
        assert daemon.process.wait(timeout=20) == 0
        assert time.monotonic() - began < 15


def test_clients_do_not_take_the_files_that_the_server_needs(tmp_path: Path) -> None:
    few = ("prlimit", "--nofile=96:96")
    with Daemon(tmp_path / "archive", wrapper=few) as daemon, ExitStack() as all_:

        def connect() -> socket.socket:
            return all_.enter_context(socket.create_connection(("127.0.0.1", daemon.port)))

        first, *_ = [connect() for _ in range(200)]
        for command in (
            "CREATE 'mic' 48000 2 24 |> OPEN 'mic'",
            "EVAL '(vector->audio #s32(1 2) 48000 2 24)' |> STREAM 'mic'",
            "CLOSE 'mic'",
        ):
            assert b"error" not in ask(first, command)
        assert ask(first, "RANGE 'mic' 0 1").endswith(b"\1\0\0\0\2\0\0\0")
        assert daemon.stop() == 0
        assert "96 files can be open at once" in daemon.log()
