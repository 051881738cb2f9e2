"""record, with real pipes, and servers that go away in the middle."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from racs.cli.wav import wav_header
from tests.cli.conftest import Run, start
from tests.e2e.daemon import Daemon

RATE = 48000
PCM = np.random.default_rng(5).integers(0, 256, 6 << 20, np.uint8).tobytes()


def stored(daemon: Daemon, name: str) -> bytes:
    with daemon.client() as racs:
        blocks = racs.extract_blocks(name, 0, 2**53)
        return b"".join(block.astype("<i2").tobytes() for block in blocks)


def size_of(daemon: Daemon, name: str) -> int:
    with daemon.client() as racs:
        return int(racs.pipeline().info(name, "size").execute())


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def feed(process: "subprocess.Popen[bytes]", pcm: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(pcm)
    process.stdin.flush()


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, bytes]:
    out, errors = process.communicate(timeout=60)
    return process.returncode, out, errors


@contextlib.contextmanager
def recording(
    daemon: Daemon, *arguments: str, **options: object
) -> Iterator["subprocess.Popen[bytes]"]:
    process = start("record", *arguments, url=f"racs://127.0.0.1:{daemon.port}", **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_recording_outlives_the_server_to_the_byte(how: str, tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive") as first:
        port = first.port
        with recording(first, "mic", "--json") as process:
            feed(process, wav_header(RATE, 1, 16))
            feed(process, PCM[: 2 << 20])
            until(lambda: size_of(first, "mic") > 1 << 20)
            first.kill() if how == "killed" else first.stop()
            feed(process, PCM[2 << 20 : 4 << 20])
            with Daemon(tmp_path / "archive", "--port", str(port)) as second:
                feed(process, PCM[4 << 20 :])
                code, out, errors = finish(process)
                assert (code, json.loads(out)["size"]) == (0, len(PCM)), errors
                assert b"waiting for the server, and keeping what comes" in errors
                assert b"going on" in errors
                assert stored(second, "mic") == PCM


def test_a_recording_ends_in_order_while_the_server_is_away(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive") as first:
        port = first.port
        with recording(first, "mic", "--rate", str(RATE)) as process:
            feed(process, PCM[: 1 << 20])
            until(lambda: size_of(first, "mic") > 0)
            first.kill()
            feed(process, PCM[1 << 20 : 2 << 20])
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            with Daemon(tmp_path / "archive", "--port", str(port)) as second:
                assert finish(process)[0] == 0
                assert stored(second, "mic") == PCM[: 2 << 20]


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_ends_a_recording_and_loses_nothing(how: str, server: Daemon) -> None:
    with recording(server, how, "--rate", str(RATE)) as process:
        feed(process, PCM[:100_001])
        until(lambda: size_of(server, how) == 100_000)
        process.send_signal(signal.Signals[how])
        code, out, errors = finish(process)
        assert (code, out) == (0, f"{how}  1.0 s, 100 kB recorded\n".encode()), errors
    with server.client() as racs:
        racs.execute_command(f"OPEN '{how}' |> CLOSE '{how}'")


def test_a_second_ctrl_c_writes_what_the_server_does_not_have_to_a_file(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive") as daemon:
        with recording(daemon, "a/b", "--rate", str(RATE), cwd=tmp_path) as process:
            feed(process, PCM[:200_000])
            until(lambda: size_of(daemon, "a/b") == 200_000)
            time.sleep(1.5)  # until it has looked
            daemon.kill()
            feed(process, PCM[200_000:300_000])
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            code, _, errors = finish(process)
            assert code == 130
            assert b"from the stream's sample frame 100000 on, is in a-b-from-100000.wav" in errors
        kept = (tmp_path / "a-b-from-100000.wav").read_bytes()
        assert kept == wav_header(RATE, 1, 16, 100_000) + PCM[200_000:300_000]


def test_what_is_left_is_written_elsewhere_if_it_cannot_be_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with (
        Daemon(tmp_path / "archive") as daemon,
        recording(daemon, "mic", "--rate", str(RATE), cwd="/proc") as process,
    ):
        feed(process, PCM[:200_000])
        until(lambda: size_of(daemon, "mic") == 200_000)
        daemon.kill()
        feed(process, PCM[200_000:300_000])
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        code, _, errors = finish(process)
    assert code == 130
    [path] = tmp_path.glob("mic-from-*.wav")
    assert f"is in {path}".encode() in errors
    assert path.read_bytes()[44:] == PCM[:300_000][300_000 - path.stat().st_size + 44 :]


def test_what_somebody_else_recorded_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive") as first:
        port = first.port
        with recording(first, "mic", "--rate", str(RATE), cwd=tmp_path) as process:
            feed(process, PCM[:200_000])
            until(lambda: size_of(first, "mic") == 200_000)
            first.kill()
            # stopped, so that the other is the first to open it
            process.send_signal(signal.SIGSTOP)
            with Daemon(tmp_path / "archive", "--port", str(port)) as second:
                with second.client() as racs:
                    racs.stream("mic").execute(np.ones(10, np.int16))
                process.send_signal(signal.SIGCONT)
                feed(process, PCM[200_000:300_000])
                code, _, errors = finish(process)
                assert code == 1
                assert b"somebody else has used it" in errors
                assert size_of(second, "mic") == 200_020


@pytest.mark.parametrize(
    ("arguments", "given", "message"),
    [
        ([], b"RIFF", "what came in ended before the audio"),
        ([], b"x" * 100, "does not begin as a WAV file does"),
        (["--channels", "2"], b"", "--rate is missing"),
        (["--rate", "8000"], wav_header(8000, 1, 16, 8) + bytes(8), "is a WAV file, which says"),
        ([], b"", "look what the program that writes into the pipe has to say"),
        (["--rate", "8000", "--expire", "soon"], b"", "is no length of time"),
        (
            [],
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\3\0\1\0" + bytes(8) + b"\4\0 \0data\0\0\0\0",
            "float",
        ),
    ],
)
def test_what_cannot_be_recorded_is_told(
    arguments: list[str], given: bytes, message: str, racs: Run
) -> None:
    result = racs("record", "wrong", *arguments, input=given)
    assert result.exit_code == 2
    assert message in result.output


def test_a_stream_of_another_format_is_not_touched(racs: Run, server: Daemon) -> None:
    assert racs("record", "eight", "--rate", "8000", input=bytes(1600)).exit_code == 0
    result = racs("record", "eight", "--rate", "16000", input=bytes(1600))
    assert result.exit_code == 1
    assert "has 8 kHz mono 16 bit, and what comes in has 16 kHz mono 16 bit" in result.stderr
    assert racs("record", "eight", "--rate", "8000", input=bytes(1600)).exit_code == 0
    assert size_of(server, "eight") == 3200


def test_of_a_wav_file_with_a_length_no_more_is_taken(racs: Run, server: Daemon) -> None:
    file = wav_header(8000, 1, 16, 800) + bytes(800) + b"LIST\4\0\0\0junk"
    assert racs("record", "exact", input=file).exit_code == 0
    assert size_of(server, "exact") == 800


def test_a_recording_waits_for_the_lease_of_one_that_was_killed(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive", "--lease", "2") as daemon:
        with recording(daemon, "mic", "--rate", str(RATE)) as killed:
            feed(killed, PCM[:100_000])
            until(lambda: size_of(daemon, "mic") == 100_000)
        with recording(daemon, "mic", "--rate", str(RATE)) as process:
            feed(process, PCM[100_000:200_000])
            code, _, errors = finish(process)
        assert code == 0, errors
        assert b"keeping what comes: Stream is already open" in errors
        assert stored(daemon, "mic") == PCM[:200_000]
