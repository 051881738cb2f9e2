"""What happens to runs while the store is away, slow, or the process is killed."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from racs import Racs
from racs.runes import archive, flush, output, runs
from racs.runes.recording import Call, begin
from racs.runes.sending import send
from racs.runes.spool import Job, Spool, SpoolFull
from racs.runs import RunRecord, encode
from tests.e2e.daemon import Daemon
from tests.runes.sounds import archived, noise, write

WAIT = 60
ROOM = 1 << 30
FRAMES = 70_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def make_job(spool: Spool, tmp_path: Path, run: str = "one", rune: str = "waits") -> Job:
    """Return a run with two inputs and two outputs that has ended and waits."""
    exact = write(tmp_path / "exact.flac", noise(FRAMES, 2, 16), 16)
    floats = write(tmp_path / "floats.wav", noise(FRAMES, 1, 32), 32)
    recording = begin(spool, (rune, run, "f"), None, Call((), {"a": exact, "b": floats}))
    recording.add_output(exact)
    recording.add_output(Path(__file__))
    recording.finish()
    [job] = spool.waiting()
    return job


def is_whole(store: Racs, rune: str) -> None:
    [run] = runs(store, rune)
    assert (run.status, len(run.streams)) == ("completed", 3)
    assert store.pipeline().list(pattern=f"runes/{rune}/*").execute() == sorted(
        [*run.streams, f"runes/{rune}/{run.id}/run"]
    )
    exact = noise(FRAMES, 2, 16).ravel().tolist()
    assert archived(store, run.streams[0]) == archived(store, run.streams[2]) == exact
    assert len(archived(store, run.streams[1])) == FRAMES
    assert run.read(run.outputs[1]) == Path(__file__).read_bytes()


def test_the_store_is_away_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    store = Racs("127.0.0.1", port)

    @archive(store, rune="patient")
    async def make(number: int) -> Path:
        return write(tmp_path / "out.wav", noise(1000, 2, 24, number), 24)

    for number in range(3):
        trio.run(make, number)
        (tmp_path / "out.wav").unlink()
    with caplog.at_level(logging.WARNING):
        assert flush(WAIT) == 3
    assert "3 runs wait on disk" in caplog.text
    with Daemon(tmp_path / "late", "--port", str(port)):
        assert flush(WAIT) == 0
        assert flush(WAIT) == 0
        found = list(runs(store, "patient"))
        assert [run.parameters["number"] for run in found] == [2, 1, 0]
        for run in found:
            expected = noise(1000, 2, 24, run.parameters["number"]).ravel().tolist()
            assert archived(store, run.streams[0]) == expected
        assert len(store.pipeline().list(pattern="*").execute()) == 6
        store.close()


def test_a_store_that_does_not_answer_costs_the_run_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        # a run that waited for a reply would never end
        store = Racs("127.0.0.1", deaf.getsockname()[1], timeout=None)

        @archive(store, rune="quick")
        async def make() -> str:
            await output().add_file(Path(__file__))
            return "made"

        assert [trio.run(make) for _ in range(3)] == ["made"] * 3
        assert flush(0.1) == 3


class CutOff(BaseException):
    """The process ends here."""


class Dying(Racs):
    """A client whose process ends before one of its calls, or after it."""

    def __init__(self, port: int, calls: int, *, after: bool) -> None:
        super().__init__("127.0.0.1", port)
        self.calls = calls
        self._after = after

    def _one(self, do: Callable[[], Any]) -> Any:
        self.calls -= 1
        if self.calls == 0 and not self._after:
            raise CutOff
        result = do()
        if self.calls == 0:
            raise CutOff
        return result

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self._one(lambda: super(Dying, self).execute_command(*args, **options))

    def attach(self, *args: Any) -> None:
        self._one(lambda: super(Dying, self).attach(*args))


@pytest.mark.parametrize("after", [False, True])
def test_sending_that_is_cut_off_at_any_call_is_gone_on_with(
    daemon: Daemon, tmp_path: Path, after: bool
) -> None:
    spool = Spool(tmp_path / "spool", ROOM)
    cuts = 0
    with daemon.client() as store:
        while True:
            rune = f"cut {cuts} {after}"
            job = make_job(spool, tmp_path, rune=rune)
            with Dying(daemon.port, cuts + 1, after=after) as dying:
                try:
                    send(dying, job)
                except CutOff:
                    cuts += 1
                    job.release()
                    [job] = spool.waiting()
                    send(store, job)
                ended = dying.calls > 0
            is_whole(store, rune)
            job.remove()
            if ended:
                break
    assert cuts > 10


KILLED = """
import sys, time
from pathlib import Path
from racs import Racs
from racs.runs.sound import Sound
from racs.runes.sending import send
from racs.runes.spool import Spool

whole = Sound.blocks
def some(sound):
    for number, block in enumerate(whole(sound)):
        time.sleep(0.3)  # longer than a live source's audio is withheld for
        if number == 2:
            print("half", flush=True)
            time.sleep(1000)
        yield block[:len(block) // 2]
        yield block[len(block) // 2:]
Sound.blocks = some
[job] = Spool(Path(sys.argv[1]), 1 << 30).waiting()
send(Racs("127.0.0.1", int(sys.argv[2])), job)
"""


def python(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *args], stdout=subprocess.PIPE, stderr=None, text=True
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_sender_that_is_killed_in_the_middle_of_a_file(
    daemon: Daemon, store: Racs, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", ROOM)
    make_job(spool, tmp_path, rune="killed").release()
    with python(KILLED, str(spool.folder), str(daemon.port)) as process:
        assert read_line(process) == "half"
        assert list(spool.waiting()) == []  # it has the lock
        process.kill()
    size = store.pipeline().info("runes/killed/one/in/a", "size").execute()
    assert 0 < size < 4 * FRAMES
    [job] = spool.waiting()
    send(store, job)
    job.remove()
    is_whole(store, "killed")


DIES = """
import os, signal, sys
from pathlib import Path
import trio
from racs.runes import archive, output

@archive("racs://127.0.0.1:" + sys.argv[1], rune="dies")
async def dies(sound: Path) -> None:
    await output().add_file(sound)
    os.kill(os.getpid(), signal.SIGKILL)

trio.run(dies, Path(sys.argv[2]))
"""


def test_a_process_that_dies_during_a_run(daemon: Daemon, store: Racs, tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", noise(10, 1, 16), 16)
    with python(DIES, str(daemon.port), str(path)) as process:
        assert process.wait(WAIT) == -signal.SIGKILL
    archive(store)
    assert flush(WAIT) == 0
    [run] = runs(store, "dies")
    assert (run.status, run.record.error) == ("aborted", "the process ended during the run")
    for stream_id in (f"runes/dies/{run.id}/in/sound", f"runes/dies/{run.id}/out/001-in.wav"):
        assert archived(store, stream_id) == noise(10, 1, 16).ravel().tolist()


ENDS = """
import sys
from pathlib import Path
import trio
from racs.runes import archive

@archive("racs://127.0.0.1:" + sys.argv[1], rune="ends")
async def ends(sound: Path) -> Path:
    return sound

trio.run(ends, Path(sys.argv[2]))
"""


def test_a_process_that_ends_sends_first(daemon: Daemon, store: Racs, tmp_path: Path) -> None:
    path = write(tmp_path / "in.wav", noise(10, 1, 16), 16)
    with python(ENDS, str(daemon.port), str(path)) as process:
        assert process.wait(WAIT) == 0
    [run] = runs(store, "ends")
    assert len(run.streams) == 2


def test_a_full_spool_keeps_the_record_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Racs("127.0.0.1", free_port())
    path = write(tmp_path / "in.wav", noise(100_000, 1, 16), 16)

    @archive(store, rune="full", spool_limit=250_000)
    async def hand_on(sound: Path) -> str:
        return str(sound)

    assert trio.run(hand_on, path) == str(path)
    [folder] = Path(os.environ["RACS_SPOOL"]).iterdir()
    spool = Spool(folder, ROOM)
    assert flush(WAIT) == 1
    [job] = spool.waiting()
    [kept], [left_out] = job.record.inputs, job.record.outputs
    job.release()
    assert (kept.bytes, kept.problem) == (path.stat().st_size, "")
    assert "wait for the store" in left_out.problem
    assert "is not archived" in caplog.text


def test_runs_beyond_the_room_there_is_are_not_begun(tmp_path: Path) -> None:
    record = RunRecord(rune="r", run="x", status="running", logs="long " * 100)
    spool = Spool(tmp_path / "spool", 7 * len(encode(record)) // 2)
    for _ in range(3):
        spool.begin(record).release()
    with pytest.raises(SpoolFull, match="wait for the store"):
        spool.begin(record)
    assert sorted(job.record.run for job in released(spool)) == ["x", "x-2", "x-3"]


def released(spool: Spool) -> Iterator[Job]:
    for job in spool.waiting():
        job.release()
        yield job


def test_a_spool_that_cannot_be_written_leaves_the_rune_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RACS_SPOOL", str(tmp_path / "file" / "spool"))

    @archive(Racs("127.0.0.1", free_port()))
    async def hand_on(sound: str) -> str:
        await output().add_file(sound)
        return sound

    assert trio.run(hand_on, __file__) == __file__
    assert "is not archived" in caplog.text


def test_an_id_function_that_fails_leaves_the_rune_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> str:
        raise RuntimeError("no ids today")

    @archive(Racs("127.0.0.1", free_port()), run_id=fail)
    async def one() -> int:
        await output().add_message("x")
        return 1

    assert trio.run(one) == 1
    assert "no ids today" in caplog.text


def test_a_job_that_cannot_be_read_stops_no_other(
    store: Racs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "jobs", ROOM)
    make_job(spool, tmp_path, rune="readable").release()
    (spool.folder / "0").mkdir()
    (spool.folder / "0" / "job.json").write_text("{")
    [job] = spool.waiting()
    send(store, job)
    job.remove()
    is_whole(store, "readable")
    assert "cannot be read and is left as it is" in caplog.text


def test_a_copy_that_was_cut_is_told(store: Racs, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "jobs", ROOM)
    job = make_job(spool, tmp_path, rune="cut copy")
    os.truncate(job.path("in", 1), 100)
    record = send(store, job)
    assert record.inputs[0].problem == "of its copy in the spool 100 bytes are left"
    assert msgspec.structs.replace(record.inputs[1], problem="") == record.inputs[1]
    job.remove()
