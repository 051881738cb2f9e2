"""A server that is killed again and again, and one whose disk is full: with nothing replaced.

``RACS_KILLS=<rounds>`` asks for more kills than the suite has time for.
"""

import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from racs import Racs, RacsException
from racs.wire import encode_frame, encode_single, stream_hash
from tests.e2e.daemon import Daemon

NULL = b"\x91\xa4null"
ROUNDS = int(os.environ.get("RACS_KILLS", "2"))


class Sender:
    """A client that appends blocks to a stream of its own until the server is gone."""

    def __init__(self, stream_id: str, seed: int) -> None:
        self.stream_id = stream_id
        self.sent = b""
        self.acknowledged = 0
        self._rng = np.random.default_rng(seed)

    def __repr__(self) -> str:
        return f"<Sender {self.stream_id}: {self.acknowledged} of {len(self.sent)} bytes>"

    def run(self, port: int) -> None:
        """Append and count acknowledgements, one after the other."""
        session = self._rng.bytes(16)
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
            while True:
                block = self._rng.bytes(4 * int(self._rng.integers(1, 8000)))
                self.sent += block
                try:
                    sock.sendall(encode_single(encode_frame(self._hash, session, block)))
                    reply = replies.read(14)
                except OSError:
                    return
                if len(reply) < 14:
                    return
                assert reply[8:] == NULL
                self.acknowledged = len(self.sent)

    @property
    def _hash(self) -> int:
        return stream_hash(self.stream_id)

    def check(self, racs: Racs) -> None:
        """Compare what is archived with what was sent, and go on from there."""
        stored = pcm_of(racs, self.stream_id)
        assert self.acknowledged <= len(stored) <= len(self.sent), self
        assert stored == self.sent[: len(stored)], self
        self.sent, self.acknowledged = stored, len(stored)


def pcm_of(racs: Racs, stream_id: str) -> bytes:
    """Return all that a stream of 16 bits has."""
    values: np.ndarray = racs.execute_command(f"EXTRACT '{stream_id}' 0 9999999999999")
    return values.astype("<i2").tobytes()


@pytest.mark.parametrize("durability", ["os", "interval", "always"])
def test_a_server_that_is_killed_again_and_again_loses_nothing_acknowledged(
    tmp_path: Path, durability: str
) -> None:
    senders = [Sender(f"s{number}", number) for number in range(4)]
    flags = ("--durability", durability, "--segment-bytes", "300000", "--log-bytes", "65536")
    rng = np.random.default_rng(1)
    for round_ in range(ROUNDS):
        with Daemon(tmp_path / "archive", *flags) as daemon:
            with daemon.client() as racs:
                for sender in senders:
                    if round_:
                        sender.check(racs)
                    else:
                        racs.execute_command(f"CREATE '{sender.stream_id}' 44100 2 16")
                    racs.execute_command(f"OPEN '{sender.stream_id}'")
            begun = sum(sender.acknowledged for sender in senders)
            threads = [
                threading.Thread(target=sender.run, args=(daemon.port,)) for sender in senders
            ]
            for thread in threads:
                thread.start()
            enough = begun + int(rng.integers(100_000, 3_000_000))
            deadline = time.monotonic() + 20
            while sum(s.acknowledged for s in senders) < enough and time.monotonic() < deadline:
                time.sleep(0.001)
            daemon.kill()
            for thread in threads:
                thread.join(20)
            assert sum(sender.acknowledged for sender in senders) > begun
    with Daemon(tmp_path / "archive", *flags) as daemon, daemon.client() as racs:
        for sender in senders:
            sender.check(racs)


SMALL = """mount -t tmpfs -o size=6m none "$0" && exec "$@" """


def on_a_small_disk(folder: Path) -> list[str]:
    """Return what runs a command with a small file system of its own in a folder, or skip."""
    folder.mkdir()
    for rights in ("-m", "-rm"):
        command = ["unshare", rights, "sh", "-c", SMALL, str(folder)]
        try:
            done = subprocess.run([*command, "true"], capture_output=True, check=False)
        except FileNotFoundError:
            break
        if not done.returncode:
            return command
    pytest.skip("this machine lets nobody mount a small file system")


def test_a_full_disk_refuses_clearly_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    second = np.random.default_rng(1).integers(-32768, 32768, 88_200, np.int16)
    flags = ("--segment-bytes", "300000", "--log-bytes", "65536", "--checkpoint-interval", "0.2")
    with (
        Daemon(folder, *flags, wrapper=on_a_small_disk(folder)) as daemon,
        daemon.client() as racs,
    ):
        for stream_id in ("ballast", "kept"):
            racs.execute_command(f"CREATE '{stream_id}' 44100 2 16")
        for _ in range(6):
            racs.stream("ballast").execute(second)
        racs.stream("kept").execute(second)
        racs.execute_command("OPEN 'kept'")
        port, taken = daemon.port, second.tobytes()
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
            answer = b""
            while not answer:
                block = second[:16_000].tobytes()
                frame = encode_frame(stream_hash("kept"), b"k" * 16, block)
                sock.sendall(encode_single(frame))
                size = int.from_bytes(replies.read(8), "little")
                reply = replies.read(size)
                taken += block if reply == NULL else b""
                answer = b"" if reply == NULL else reply
                assert len(taken) < 6 << 20
        assert b"the disk is full" in answer
        assert pcm_of(racs, "kept") == taken, "reads go on, and what was refused is not there"
        with pytest.raises(RacsException, match=r"disk is full|No space left"):
            racs.attach("kept", "notes", bytes(5 << 20))

        racs.execute_command("DELETE 'ballast'")
        racs.execute_command("CLOSE 'kept'")
        racs.stream("kept").execute(second)
        assert pcm_of(racs, "kept") == taken + second.tobytes()
        shutil.copytree(f"/proc/{daemon.process.pid}/root{folder}", tmp_path / "copy")
    (tmp_path / "copy" / "racs.lock").unlink()
    with Daemon(tmp_path / "copy") as daemon, daemon.client() as racs:
        assert pcm_of(racs, "kept") == taken + second.tobytes(), "nothing was damaged"
