"""play, follow, wave, top, doctor, bench and shell, against a real server."""

import json
import os
import signal
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from racs.cli.wav import wav_header
from tests.cli.conftest import Run, start
from tests.cli.test_recording import finish, until
from tests.e2e.daemon import Daemon

TONE = (np.sin(np.arange(16_000) / 5) * 2**14).astype(np.int16)


@pytest.fixture(scope="module", autouse=True)
def tone(server: Daemon) -> None:
    with server.client() as racs:
        racs.execute_command("CREATE 'tone' 8000 2 16")
        racs.stream("tone").execute(np.repeat(TONE, 2))


def test_what_is_played_into_a_pipe_is_a_wav_file(racs: Run) -> None:
    pcm = np.repeat(TONE, 2)[2 * 4000 : 2 * 12_000].tobytes()
    played = racs("play", "tone", "--from", "0.5..1.5").stdout_bytes
    assert played == wav_header(8000, 2, 16, len(pcm)) + pcm
    assert racs("play", "tone", "--from", "0.5..1.5", "--raw").stdout_bytes == pcm


def test_a_player_is_given_the_wav_file(
    racs: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = tmp_path / "aplay"
    player.write_text(f"#!/bin/sh\n[ \"$*\" = '-q -' ] && cat > {tmp_path}/played.wav\n")
    player.chmod(player.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert racs("play", "tone", "--last", "1s", "--player", "aplay").exit_code == 0
    assert np.array_equal(
        soundfile.read(tmp_path / "played.wav", dtype="int16")[0][:, 1], TONE[8000:]
    )
    player.write_text("#!/bin/sh\nexit 3\n")
    result = racs("play", "tone", "--player", "aplay")
    assert (result.exit_code, "aplay could not play it" in result.stderr) == (1, True)


def test_a_stream_is_followed_into_a_file_through_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "live.wav"
    pcm = np.arange(-15_000, 15_000, dtype=np.int16)

    def frames() -> int:
        return (path.stat().st_size - 44) // 2 if path.exists() else 0

    with Daemon(tmp_path / "archive") as first:
        port = first.port
        with first.client() as racs:
            racs.execute_command("CREATE 'live' 8000 1 16")
            racs.stream("live").execute(pcm[:10_000])
        url = f"racs://127.0.0.1:{port}"
        process = start("follow", "live", "-o", str(path), "--from", "0.125", "--json", url=url)
        try:
            until(lambda: frames() == 9000)
            first.kill()
            with Daemon(tmp_path / "archive", "--port", str(port)) as second:
                with second.client() as racs:
                    racs.stream("live").execute(pcm[10_000:])
                until(lambda: frames() == 29_000)
                process.send_signal(2)
                code, out, errors = finish(process)
                assert (code, json.loads(out)["frames"]) == (0, 29_000), errors
        finally:
            process.kill()
            process.communicate()
    assert path.read_bytes() == wav_header(8000, 1, 16, 58_000) + pcm[1000:].tobytes()


def test_a_stream_that_is_closed_can_be_the_end(racs: Run) -> None:
    result = racs("follow", "tone", "--from", "-0.5", "--until-closed", "--raw")
    assert result.stdout_bytes == np.repeat(TONE, 2)[-8000:].tobytes()


def test_a_follower_that_stalled_gets_what_it_missed(server: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "live.raw"
    pcm = np.random.default_rng(9).integers(-(2**15), 2**15, 5_000_000).astype(np.int16)
    with server.client() as racs, path.open("wb") as file:
        racs.execute_command("CREATE 'stalls' 8000 1 16")
        racs.stream("stalls").execute(pcm[:8000])
        url = f"racs://127.0.0.1:{server.port}"
        with start("follow", "stalls", "--raw", "--from", "0", url=url, stdout=file) as process:
            until(lambda: path.stat().st_size == 16_000)
            process.send_signal(signal.SIGSTOP)
            racs.stream("stalls").execute(pcm[8000:])
            process.send_signal(signal.SIGCONT)
            until(lambda: path.stat().st_size == 10_000_000)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        racs.execute_command("DELETE 'stalls'")
    assert path.read_bytes() == pcm.tobytes()


def test_a_file_has_its_length_when_the_stream_is_deleted(server: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "live.wav"
    with server.client() as racs:
        racs.execute_command("CREATE 'deleted' 8000 1 16")
        racs.stream("deleted").execute(TONE)
        url = f"racs://127.0.0.1:{server.port}"
        with start("follow", "deleted", "-o", str(path), "--from", "0", url=url) as process:
            until(lambda: path.exists() and path.stat().st_size == 44 + TONE.nbytes)
            racs.execute_command("DELETE 'deleted'")
            assert process.wait(20) == 1
    assert path.read_bytes() == wav_header(8000, 1, 16, TONE.nbytes) + TONE.tobytes()


def test_a_waveform_is_drawn(racs: Run, tmp_path: Path) -> None:
    lines = racs("wave", "tone", "--height", 2).stdout.splitlines()
    assert len(lines) == 5
    assert all(len(line) == 80 for line in lines)
    assert "peak −6.0 dBFS" in lines[-1]
    points = np.array(json.loads(racs("wave", "tone", "--json").stdout))
    assert points.shape == (160, 2, 3)
    assert racs("wave", "tone", "--png", tmp_path / "a.png", "--size", "300x80").exit_code == 0
    png = (tmp_path / "a.png").read_bytes()
    assert png[16:24] == (300).to_bytes(4, "big") + (80).to_bytes(4, "big")
    wrong = racs("wave", "tone", "--png", tmp_path / "b.png", "--size", "big")
    assert (wrong.exit_code, "--size is like 1200x300" in wrong.stderr) == (2, True)


def test_top_looks_once_where_nobody_watches(racs: Run) -> None:
    data = json.loads(racs("top", "--json").stdout)
    assert data["server"]["streams"] >= 1
    assert data["streams"] == []
    text = racs("top").stdout
    assert "nothing is being recorded" in text
    assert "free" in text


def test_the_doctor_finds_all_well_and_leaves_nothing(racs: Run) -> None:
    findings = {each["name"]: each for each in json.loads(racs("doctor", "--json").stdout)}
    assert {"server", "access", "version", "disk", "load", "audio", "clock"} <= set(findings)
    assert findings["audio"]["state"] == findings["clock"]["state"] == "good"
    assert "came back the same" in racs("doctor").stdout
    assert "racs-doctor" not in racs("ls").stdout


def test_the_doctor_tells_what_to_do_where_there_is_no_server(racs: Run) -> None:
    result = racs("--url", "racs://127.0.0.1:1", "doctor", "--json")
    assert result.exit_code == 3
    server, *_ = json.loads(result.stdout)
    assert server["state"] == "bad"
    assert "cannot connect to 127.0.0.1:1" in server["text"]
    assert "Start it with `racs-server`" in server["advice"]


def test_a_json_report_and_audio_do_not_go_into_one_pipe(racs: Run) -> None:
    result = racs("follow", "tone", "--json")
    assert (result.exit_code, "give --output FILE" in result.stderr) == (2, True)


def test_the_bench_measures_and_leaves_nothing(racs: Run) -> None:
    data = json.loads(racs("bench", "--seconds", "0.1", "--json").stdout)
    assert all(each["value"] > 0 for each in data.values())
    assert "audio out" in racs("bench", "--seconds", "0.1").stdout
    assert "racs-bench" not in racs("ls").stdout


def test_a_conversation_of_commands_and_programs(racs: Run) -> None:
    lines = ["PING", "(+ 1", "   2)", "", "RANGE 'tone' 0 1", "DESCRIBE 'tone'", "exit", "NOPE"]
    result = racs("shell", input="\n".join(lines))
    assert result.exit_code == 0
    pong, three, audio, header, row = result.stdout.splitlines()
    assert (pong, three, audio) == ("PONG", "3", "s32v, 16,000 values, peak −6.0 dBFS")
    assert header.split()[:2] == ["id", "sample_rate"]
    assert row.split()[:2] == ["tone", "8000"]


def test_errors_in_a_conversation_do_not_end_it(racs: Run) -> None:
    result = racs("shell", input="NOPE\nFOLLOW 'tone'\nhelp\nPING\n")
    assert result.exit_code == 1
    assert "there is no 'NOPE'" in result.stderr
    assert "use racs follow" in result.stderr
    assert "What begins with a bracket is Scheme" in result.stdout
    assert result.stdout.endswith("PONG\n")
