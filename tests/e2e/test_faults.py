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

from racs import RacsException
from racs.wire import encode_frame, encode_single, stream_hash
from tests.e2e.daemon import Daemon
from tests.e2e.sender import NULL, Sender, pcm_of

ROUNDS = int(os.environ.get("RACS_KILLS", "2"))


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
