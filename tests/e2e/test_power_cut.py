"""The power fails under a whole server, real sockets and all: its disk loses what was not synced.

See `losing` for the disk. ``RACS_CUTS=<rounds>`` asks for more power cuts than the suite has time
for.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.daemon import Daemon
from tests.e2e.sender import Sender, pcm_of

ROUNDS = int(os.environ.get("RACS_CUTS", "2"))
FLAGS = (
    "--segment-bytes", "300000", "--log-bytes", "65536", "--checkpoint-interval", "0.3",
    "--sync-interval", "0.05",
)  # fmt: skip


def cut(daemon: Daemon, seed: int) -> tuple[Path, float]:
    """Cut the power; return the folder with what is left, and until when nothing may be lost."""
    Path(f"{daemon.data_dir}.power").write_text(str(seed))
    daemon.process.wait(60)
    left = Path(f"{daemon.data_dir}.left")
    for database in daemon.data_dir.glob("catalog.sqlite*"):
        shutil.copy(database, left)
    return left, float(Path(f"{daemon.data_dir}.since").read_text())


def send_until_cut(daemon: Daemon, senders: list[Sender], seed: int) -> tuple[Path, float]:
    """Let all send at once, and cut the power when something has been acknowledged."""
    enough = 200_000 + seed % 2_000_000 + sum(sender.acknowledged for sender in senders)
    threads = [threading.Thread(target=sender.run, args=(daemon.port,)) for sender in senders]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while sum(s.acknowledged for s in senders) < enough and time.monotonic() < deadline:
        time.sleep(0.001)
    result = cut(daemon, seed)
    for thread in threads:
        thread.join(20)
    return result


@pytest.mark.parametrize("durability", ["os", "interval", "always"])
def test_the_power_fails_while_clients_send(tmp_path: Path, durability: str) -> None:
    """What was closed or attached is there, and of open streams what the setting promises."""
    senders = [Sender(f"s{number}", number) for number in range(4)]
    rng = np.random.default_rng(1)
    folder, since = tmp_path / "archive", 0.0
    closed: dict[str, np.ndarray] = {}

    def check(daemon: Daemon) -> None:
        with daemon.client() as racs:
            for sender in senders:
                always = durability == "always"
                sender.check(racs, None if always else sender.acknowledged_by(since))
            for stream_id, values in closed.items():
                assert pcm_of(racs, stream_id) == values.tobytes()
                assert racs.attachment(stream_id, "notes") == stream_id.encode()

    for round_ in range(ROUNDS):
        flags = ("--durability", durability, *FLAGS)
        with Daemon(folder, *flags, program="tests.e2e.losing") as daemon:
            if round_:
                check(daemon)
            with daemon.client() as racs:
                for sender in senders:
                    if not round_:
                        racs.execute_command(f"CREATE '{sender.stream_id}' 44100 2 16")
                        racs.attach(sender.stream_id, "made", b"durable with it")
                    racs.execute_command(f"OPEN '{sender.stream_id}'")
                stream_id = f"closed {round_}"
                closed[stream_id] = rng.integers(-32768, 32768, 200_000).astype("<i2")
                racs.execute_command(f"CREATE '{stream_id}' 44100 2 16")
                racs.stream(stream_id).execute(closed[stream_id])
                racs.attach(stream_id, "notes", stream_id.encode())
            folder, since = send_until_cut(daemon, senders, int(rng.integers(1 << 30)))
    with Daemon(folder) as daemon:
        check(daemon)
    command = [sys.executable, "-m", "racs_server", "verify", "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
