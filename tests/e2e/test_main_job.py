"""The main job with nothing replaced: a server process, sockets, files, and the client."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile

from racs import RacsException
from racs.wire import encode_command, encode_frame, encode_single, stream_hash
from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted(
    path for path in (ROOT / "tests" / "data").iterdir() if path.suffix in {".wav", ".flac"}
)


def stream_values(path: Path) -> np.ndarray:
    """Return a 16- or 24-bit file's samples as a stream holds them."""
    values: np.ndarray
    values, _ = soundfile.read(path, dtype="int32", always_2d=True)
    shift = 16 if soundfile.info(path).subtype == "PCM_16" else 8
    shifted: np.ndarray = np.right_shift(values, shift)
    return shifted


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_comes_back_sample_for_sample(daemon: Daemon, path: Path) -> None:
    info = soundfile.info(path)
    depth = 16 if info.subtype == "PCM_16" else 24
    values = stream_values(path)
    with daemon.client() as racs:
        racs.pipeline().create(
            stream_id="take/1",
            sample_rate=info.samplerate,
            channels=info.channels,
            bit_depth=depth,
        ).execute()
        racs.stream("take/1").execute(path)
        ref = racs.pipeline().info(stream_id="take/1", attr="ref").execute()
        begin = datetime.fromtimestamp(ref / 1000, tz=UTC)
        piece = (
            racs.pipeline()
            .extract(
                stream_id="take/1",
                frm=begin + timedelta(seconds=0.5),
                to=begin + timedelta(seconds=1.25),
            )
            .execute()
        )
        first, stop = (-(-half * info.samplerate // 4) for half in (2, 5))
        assert np.array_equal(piece, values[first:stop].ravel())
        whole = (
            racs.pipeline()
            .extract(stream_id="take/1", frm=begin, to=begin + timedelta(days=1))
            .execute()
        )
        assert np.array_equal(whole, values.ravel())
    assert daemon.stop() == 0
    segments = sorted((daemon.data_dir / "streams").glob("*/*/*.wav"))
    stored = np.concatenate([stream_values(segment) for segment in segments])
    assert np.array_equal(stored, values)


def test_an_mp3_goes_in_as_a_decoder_reads_it_in_one_go(daemon: Daemon, tmp_path: Path) -> None:
    """Reading an MP3 block by block must not restart its decoder at every block."""
    path = tmp_path / "tone.mp3"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000 * 20) / 48000)
    with soundfile.SoundFile(path, "w", 48000, 2, format="MP3") as file:
        for start in range(0, len(tone), 48000):
            file.write(np.stack([tone, tone], axis=1)[start : start + 48000].astype(np.float32))
    decoded, _ = soundfile.read(path)
    expected = np.clip(np.rint(decoded * 2.0**23), -(2**23), 2**23 - 1)
    with daemon.client() as racs:
        racs.execute_command("CREATE 'mp3' 48000 2 24")
        racs.stream("mp3").chunk_size(1200).batch_size(7).execute(path)
        got = racs.execute_command("EXTRACT 'mp3' 0 9999999999999")
    assert np.array_equal(got, expected.ravel())


def test_audio_may_be_sent_bit_by_bit(daemon: Daemon) -> None:
    with daemon.client() as racs, daemon.client() as other:
        racs.execute_command("CREATE 'x' 8000 1 16 |> OPEN 'x'")
        for number in range(3):
            racs.stream("x", pcm_data=[number] * 4)
        with pytest.raises(RacsException, match=r"Stream is closed or currently in use\."):
            other.stream("x", pcm_data=[9])
        racs.execute_command("CLOSE 'x'")
        got = racs.execute_command("EXTRACT 'x' 0 9999999999999")
    assert got.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    values = np.arange(-30000, 30000, dtype=np.int16)
    with Daemon(tmp_path / "archive") as daemon, daemon.client() as racs:
        racs.execute_command("CREATE 'a' 8000 2 16")
        racs.stream("a").execute(values)
        ref = racs.execute_command("INFO 'a' 'ref'")
        assert daemon.stop() == 0
    with Daemon(tmp_path / "archive") as daemon, daemon.client() as racs:
        assert "1 streams" in daemon.greeting
        assert "nothing to recover" in daemon.greeting
        assert racs.execute_command("INFO 'a' 'ref'") == ref
        assert np.array_equal(racs.execute_command(f"EXTRACT 'a' 0 {ref + 10**9}"), values)


@pytest.mark.parametrize("durability", ["os", "interval", "always"])
def test_a_killed_server_keeps_all_that_it_acknowledged(tmp_path: Path, durability: str) -> None:
    rng = np.random.default_rng(1)
    acknowledged: dict[str, list[bytes]] = {f"s{number}": [] for number in range(3)}
    enough = threading.Event()

    def send(port: int, stream_id: str, blocks: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
            while True:
                block = blocks[len(acknowledged[stream_id]) % len(blocks)]
                frame = encode_frame(stream_hash(stream_id), stream_id.encode() * 8, block)
                try:
                    sock.sendall(encode_single(frame))
                    reply = replies.read(14)
                except OSError:
                    return
                if len(reply) < 14:
                    return
                assert reply[8:] == b"\x91\xa4null"
                acknowledged[stream_id].append(block)
                if min(map(len, acknowledged.values())) > 60:
                    enough.set()

    archive = tmp_path / "archive"
    with Daemon(archive, "--durability", durability, "--segment-bytes", "500000") as daemon:
        with daemon.client() as racs:
            for stream_id in acknowledged:
                racs.execute_command(f"CREATE '{stream_id}' 44100 2 16 |> OPEN '{stream_id}'")
        threads = [
            threading.Thread(
                target=send,
                args=(daemon.port, stream_id, [rng.bytes(4 * 4000) for _ in range(5)]),
            )
            for stream_id in acknowledged
        ]
        for thread in threads:
            thread.start()
        assert enough.wait(30)
        daemon.kill()
        for thread in threads:
            thread.join()
    with Daemon(archive) as daemon, daemon.client() as racs:
        assert "recovered" in daemon.greeting
        for stream_id, blocks in acknowledged.items():
            sent = np.frombuffer(b"".join(blocks), "<i2")
            got = racs.execute_command(f"EXTRACT '{stream_id}' 0 9999999999999")
            assert np.array_equal(got[: len(sent)], sent)
            # One more block may have been taken whose acknowledgement did not arrive.
            assert len(got) - len(sent) in {0, 8000}
            assert racs.execute_command(f"INFO '{stream_id}' 'size'") == len(got) * 2


def test_a_long_extract_runs_in_bounded_memory(tmp_path: Path) -> None:
    """Three hours of 8 kHz stereo, and a client that takes them slowly."""
    minute = np.random.default_rng(2).integers(-(2**15), 2**15, 8000 * 60 * 2, dtype=np.int16)
    with Daemon(tmp_path / "archive") as daemon, daemon.client() as racs:
        racs.execute_command("CREATE 'long' 8000 2 16")
        racs.stream("long").execute(minute for _ in range(180))
        before = daemon.memory()
        with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
            sock.sendall(encode_command("EXTRACT 'long' 0 9999999999999"))
            with sock.makefile("rb", buffering=1 << 16) as replies:
                length = int.from_bytes(replies.read(8), "little")
                assert replies.read(6) == b"\x92\xa4s32v"
                assert replies.read(1) == b"\xc6"
                size = int.from_bytes(replies.read(4), "big")
                assert size == 180 * minute.size * 4 == length - 11
                expected = minute.astype("<i4").tobytes()
                for number in range(180):
                    assert replies.read(len(expected)) == expected, f"minute {number}"
        assert daemon.memory() - before < 16 << 20


def test_fifty_clients_at_once_one_of_them_stuck(daemon: Daemon) -> None:
    with daemon.client() as racs:
        racs.execute_command("CREATE 'big' 44100 2 16")
        racs.stream("big").execute(np.zeros(44100 * 2 * 60, np.int16))
    stuck = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(3)]
    stuck[0].sendall(encode_command("PING")[:5])  # half a message
    stuck[1].sendall(encode_command("EXTRACT 'big' 0 9999999999999") * 50)  # never reads
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with daemon.client(pool_size=1) as racs:
                racs.execute_command(f"CREATE 'c{number}' 48000 1 24")
                values = np.full(48000, number, np.int32)
                racs.stream(f"c{number}").execute(values)
                got = racs.execute_command(f"EXTRACT 'c{number}' 0 9999999999999")
                assert np.array_equal(got, values)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert not any(thread.is_alive() for thread in threads)
    for sock in stuck:
        sock.close()


def test_requests_sent_together_are_answered_in_order(daemon: Daemon) -> None:
    hash_ = stream_hash("p")
    messages = [
        encode_command("CREATE 'p' 8000 1 16 |> OPEN 'p'"),
        encode_single(encode_frame(hash_, b"s" * 16, b"\1\0\2\0")),
        encode_command("INFO 'p' 'size'"),
        encode_command("EXTRACT 'p' 0 9999999999999"),
        encode_single(encode_frame(hash_, b"s" * 16, b"\3\0")),
        encode_command("CLOSE 'p'"),
        encode_command("NONSENSE"),
        encode_command("INFO 'p' 'size'"),
        encode_command("PING"),
    ]
    with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
        sock.sendall(b"".join(messages))
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as replies:
            bodies = [replies.read(int.from_bytes(replies.read(8), "little")) for _ in messages]
    null, four, six = b"\x91\xa4null", b"\x92\xa3int\x04", b"\x92\xa3int\x06"
    samples = b"\x92\xa4s32v\xc4\x08\1\0\0\0\2\0\0\0"
    assert bodies[:6] == [null, null, four, samples, null, null]
    assert b"NONSENSE" in bodies[6]
    assert bodies[7:] == [six, b"\x92\xa6string\xa4PONG"]


def test_garbage_is_answered_with_an_error_and_the_others_go_on(daemon: Daemon) -> None:
    with daemon.client() as racs:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(8), b"\xff" * 64):
            with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
                sock.sendall(garbage)
                assert b"\x92\xa5error" in sock.recv(65536)
            assert racs.execute_command("PING") == "PONG"


def test_shutdown_answers_puts_everything_on_the_disk_and_ends(daemon: Daemon) -> None:
    with daemon.client() as racs:
        racs.execute_command("CREATE 'x' 8000 1 16 |> OPEN 'x'")
        racs.stream(stream_id="x", chunk_size=1024, pcm_data=[1, 2, 3])
        assert racs.execute_command("SHUTDOWN") is None
    assert daemon.process.wait(20) == 0
    with Daemon(daemon.data_dir) as again, again.client() as racs:
        assert "nothing to recover" in again.greeting
        assert racs.execute_command("EXTRACT 'x' 0 9999999999999").tolist() == [1, 2, 3]


def test_a_sigint_in_the_middle_of_an_upload_loses_nothing_acknowledged(daemon: Daemon) -> None:
    block = np.arange(8000, dtype=np.int16)
    sent = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal sent
        while True:
            sent += 1
            if sent == 50:
                daemon.process.send_signal(signal.SIGINT)
            yield block

    with daemon.client() as racs:
        racs.execute_command("CREATE 'x' 8000 1 16 |> OPEN 'x'")
        with pytest.raises(RacsException):
            racs.stream(stream_id="x", chunk_size=16000, pcm_data=endless())
    assert daemon.process.wait(20) == 0
    with Daemon(daemon.data_dir) as again, again.client() as racs:
        got = racs.execute_command("EXTRACT 'x' 0 9999999999999")
        assert len(got) % 8000 == 0
        assert np.array_equal(got, np.tile(block, len(got) // 8000))


def test_the_end_does_not_wait_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    with Daemon(tmp_path / "archive", "--shutdown-time", "0.2") as daemon:
        with daemon.client() as racs:
            racs.execute_command("CREATE 'big' 44100 2 16")
            racs.stream("big").execute(np.zeros(44100 * 2 * 60, np.int16))
        with socket.create_connection(("127.0.0.1", daemon.port)) as stuck:
            stuck.sendall(encode_command("EXTRACT 'big' 0 9999999999999"))
            assert stuck.recv(100)
            assert daemon.stop() == 0
    with Daemon(tmp_path / "archive") as daemon:
        assert "nothing to recover" in daemon.greeting


class TestWhatKeepsItFromStarting:
    """One clear line, and exit status 2."""

    @staticmethod
    def refusal(*flags: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "racs_server", *flags],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("racs-server: ")
        assert done.stderr.count("\n") == 1, done.stderr
        return done.stderr

    def test_a_second_server_on_the_same_folder(self, daemon: Daemon) -> None:
        line = self.refusal("--port", "0", "--data-dir", str(daemon.data_dir))
        assert f"in use by another server (process {daemon.process.pid})" in line

    def test_a_port_in_use(self, daemon: Daemon, tmp_path: Path) -> None:
        line = self.refusal("--port", str(daemon.port), "--data-dir", str(tmp_path / "other"))
        assert f"127.0.0.1:{daemon.port}: the port is in use" in line

    def test_an_unwritable_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        line = self.refusal("--data-dir", str(tmp_path / "file" / "archive"))
        assert "cannot be made: Not a directory" in line

    @pytest.mark.parametrize(
        ("flags", "text"),
        [
            (("--durability", "maybe"), "'maybe' is not one of 'os', 'interval', 'always'"),
            (("--port", "70000"), "port = 70000 (--port): it must be 0 to 65535"),
            (("--lease", "soon"), "'soon' is not a valid float"),
            (("--nonsense",), "No such option '--nonsense'"),
            (("--config", "/nowhere.toml"), "/nowhere.toml cannot be read"),
        ],
    )
    def test_a_bad_setting(self, flags: tuple[str, ...], text: str) -> None:
        assert text in self.refusal(*flags)

    def test_a_bad_settings_file(self, tmp_path: Path) -> None:
        file = tmp_path / "racs.toml"
        file.write_text("prot = 6381\n")
        assert "unknown setting 'prot'" in self.refusal("--config", str(file))


def test_start_is_quick_with_many_streams(tmp_path: Path) -> None:
    """A thousand streams here; what a start costs does not depend on what they hold."""
    with Daemon(tmp_path / "archive") as daemon, daemon.client() as racs:
        for number in range(1000):
            racs.execute_command(f"CREATE 'n{number}' 8000 1 16 |> OPEN 'n{number}'")
        descriptors = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
        assert descriptors < 100
        assert daemon.stop() == 0
    began = time.monotonic()
    with Daemon(tmp_path / "archive") as daemon, daemon.client() as racs:
        assert time.monotonic() - began < 10
        assert re.search(r"\b1000 streams\b", daemon.greeting)
        assert len(racs.execute_command("LIST 'n*'")) == 1000
