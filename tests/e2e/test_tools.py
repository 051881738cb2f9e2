"""The operator's commands on real archives: damage, repair, and a backup beside a busy server."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from racs import RacsException
from racs_server.storage.stream import folder_name
from tests.e2e.daemon import Daemon

HEADER = 1024
BLOCK = 1 << 16
VALUES = np.random.default_rng(1).integers(-(2**15), 2**15, (200_000, 2), dtype=np.int16)


def tool(*arguments: object) -> tuple[int, str]:
    """Run ``racs-server`` with a subcommand; return its exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "racs_server", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def tool_json(*arguments: object) -> Any:
    status, text = tool(*arguments, "--json")
    assert status == 0, text
    return json.loads(text)


def archive(folder: Path, *ids: str) -> None:
    with Daemon(folder) as daemon, daemon.client() as racs:
        for stream_id in ids:
            create(racs, stream_id)
            racs.stream(stream_id).execute(VALUES)


def create(racs: Any, stream_id: str) -> None:
    racs.pipeline().create(
        stream_id=stream_id, sample_rate=8000, channels=2, bit_depth=16
    ).execute()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_damage_is_found_repaired_and_the_rest_reads_right(tmp_path: Path) -> None:
    data = tmp_path / "data"
    archive(data, "good", "bad")
    assert tool("verify", "--data-dir", data)[0] == 0
    segment = data / folder_name("bad") / f"{0:020d}.wav"
    contents = bytearray(segment.read_bytes())
    contents[HEADER + BLOCK + 7] ^= 1
    segment.write_bytes(contents)
    before = tree(data)
    status, text = tool("verify", "--data-dir", data)
    assert status == 1
    assert "stream 'bad' from " in text
    assert "sample frames 16384 to 32768" in text
    assert "racs-server repair --dry-run" in text, "and what to do"
    status, text = tool("verify", "--data-dir", data, "go*")
    assert (status, text[:10]) == (0, "1 streams,")
    status, text = tool("verify", "--data-dir", data, "god*")
    assert (status, "no stream" in text) == (2, True), "a slip of the pen is not 'no damage'"
    assert tool("repair", "--data-dir", data, "--dry-run")[0] == 0
    assert tree(data) == before
    with Daemon(data) as daemon:
        assert tool("verify", "--data-dir", data)[0] == 1, "beside a server too"
        status, text = tool("repair", "--data-dir", data)
        assert status == 2
        assert "in use" in text
        del daemon
    assert tool("repair", "--data-dir", data)[0] == 0
    status, text = tool("verify", "--data-dir", data)
    assert (status, "1 known" in text) == (0, True)
    with Daemon(data) as daemon, daemon.client() as racs:
        assert np.array_equal(frames(racs, "good", 0, 200_000), VALUES)
        assert np.array_equal(frames(racs, "bad", 32_768, 200_000), VALUES[32_768:])
        with pytest.raises(RacsException, match="damaged"):
            frames(racs, "bad", 0, 200_000)


def frames(racs: Any, stream_id: str, start: int, stop: int) -> np.ndarray:
    """Return a range of whole milliseconds, 8 sample frames each."""
    ref = racs.pipeline().info(stream_id=stream_id, attr="ref").execute()
    blocks = racs.extract_blocks(stream_id, ref + start // 8, ref + -(-stop // 8))
    return np.concatenate(list(blocks)).reshape(-1, 2)


def test_a_backup_of_a_busy_server_restores_every_acknowledged_sample_frame(
    tmp_path: Path,
) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    with Daemon(data, "--segment-bytes", "100000", "--checkpoint-interval", "0.2") as daemon:
        sent, enough, stop = {"a": 0, "b": 0}, threading.Event(), threading.Event()

        def ingest(stream_id: str) -> None:
            with daemon.client() as racs:
                create(racs, stream_id)
                while not stop.is_set() and sent[stream_id] < len(VALUES):
                    piece = VALUES[sent[stream_id] : sent[stream_id] + 500]
                    racs.stream(stream_id).execute(piece)
                    sent[stream_id] += len(piece)
                    if min(sent.values()) >= 5000:
                        enough.set()

        threads = [threading.Thread(target=ingest, args=(stream_id,)) for stream_id in sent]
        for thread in threads:
            thread.start()
        try:
            assert enough.wait(30)
            for _ in range(2):
                acknowledged = dict(sent)
                report = tool_json("backup", backups, "--data-dir", data)
                assert report["findings"] == []
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    status, text = tool("restore", backups, "--data-dir", tmp_path / "again")
    assert status == 0, text
    assert tool("verify", "--data-dir", tmp_path / "again")[0] == 0
    assert tool("restore", backups, "--data-dir", tmp_path / "again")[0] == 2
    with Daemon(tmp_path / "again") as daemon, daemon.client() as racs:
        for stream_id, least in acknowledged.items():
            count = racs.pipeline().info(stream_id=stream_id, attr="size").execute() // 4
            assert count >= least
            assert np.array_equal(frames(racs, stream_id, 0, count), VALUES[:count])
            racs.stream(stream_id).execute(VALUES[:10])


@pytest.mark.parametrize("command", [["verify"], ["backup", "backups"]])
def test_ctrl_c_says_how_far_it_came_and_leaves_nothing_broken(
    tmp_path: Path, command: list[str]
) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    archive(data, "one", "two")
    command = [command[0], *(str(tmp_path / name) for name in command[1:])]
    assert tool(*command, "--data-dir", data)[0] == 0
    before = {path: contents for path, contents in tree(backups).items() if "racs.lock" not in path}
    last = max(data / folder_name("one"), data / folder_name("two"))
    pipe = last / "attachments" / ("0" * 32)
    pipe.parent.mkdir()
    os.mkfifo(pipe)  # whoever reads it waits until somebody writes
    process = subprocess.Popen(
        [sys.executable, "-m", "racs_server", *command, "--data-dir", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pipe.open("wb"):
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert text.startswith("racs-server: stopped after 1 of 2 streams, ")
    pipe.unlink()
    assert before.items() <= tree(backups).items(), "those before are as they were"
    assert tool(*command, "--data-dir", data)[0] == 0, "it is begun anew"


def test_wrong_use_is_said_in_a_line(tmp_path: Path) -> None:
    for command in (["verify"], ["repair"], ["backup", tmp_path / "b"]):
        status, text = tool(*command, "--data-dir", tmp_path / "nowhere")
        assert (status, text.count("\n")) == (2, 1)
    status, text = tool("restore", tmp_path / "nowhere", "--data-dir", tmp_path / "c")
    assert (status, "name that of the backups" in text) == (2, True)
    assert tool("verify", "--nonsense")[0] == 2
