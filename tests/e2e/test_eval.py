"""EVAL through a server process: what a client sees, and what other clients see meanwhile."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from racs import Racs, RacsException
from tests.e2e.daemon import Daemon


@pytest.fixture
def racs(daemon: Daemon) -> Iterator[Racs]:
    with daemon.client() as client:
        yield client


def workers(daemon: Daemon) -> list[int]:
    pid = daemon.process.pid
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for each in threads for child in (each / "children").read_text().split()]


def test_the_clients_example(racs: Racs) -> None:
    assert racs.execute_command("EVAL '(+ 1 2 3)'") == 6
    assert racs.pipeline().eval(expr='(list 1 2.5 #t "it\'s")').execute() == [1, 2.5, True, "it's"]
    assert racs.execute_command('EVAL "(streams \\"*\\")"') is None


def test_what_a_program_creates_is_there(racs: Racs) -> None:
    racs.execute_command('EVAL \'(for-each (lambda (id) (create id 8000 1 16)) (list "a" "b"))\'')
    assert racs.execute_command("EVAL '(open \"a\")'") is None
    racs.stream("a", pcm_data=[1, -2, 3])
    assert racs.execute_command("EVAL '(gain (range \"a\" 0 1) 2)'").tolist() == [2, -4, 6]
    wav = racs.execute_command('EVAL \'(encode (range "a" 0 1) "audio/wav")\'')
    assert (len(wav), wav[:4]) == (44 + 6, b"RIFF")


def test_other_clients_go_on_while_a_program_uses_all_its_time(tmp_path: Path) -> None:
    outcome: list[str] = []

    def occupy(client: Racs, program: str) -> None:
        with pytest.raises(RacsException) as caught:
            client.execute_command(f"EVAL '{program}'")
        outcome.append(str(caught.value))

    flags = ("--eval-time", "1", "--eval-steps", str(1 << 40))
    with Daemon(tmp_path / "archive", *flags) as daemon, daemon.client() as client:
        client.execute_command("EVAL '1'")
        threads = [
            threading.Thread(target=occupy, args=(client, program))
            for program in (
                "(let loop () (loop))",
                "(let loop ((x (expt 2 9999))) (* x x) (loop x))",
            )
        ]
        for thread in threads:
            thread.start()
        delays = []
        while any(thread.is_alive() for thread in threads):
            begun = time.perf_counter()
            assert client.execute_command("PING") == "PONG"
            delays.append(time.perf_counter() - begun)
        # the exact figures are for scripts/eval_latency.py: this machine may be busy
        assert np.median(delays) < 0.05
    assert all("over the budget of time: more than 1 seconds" in text for text in outcome)


def test_a_killed_worker_is_replaced(racs: Racs, daemon: Daemon) -> None:
    assert racs.execute_command("EVAL '1'") == 1
    for worker in workers(daemon):
        os.killpg(worker, signal.SIGKILL)
        _wait_until_dead(worker)
    assert racs.execute_command("EVAL '(+ 1 2)'") == 3
    assert racs.execute_command("PING") == "PONG"


def test_the_server_ends_though_a_program_runs_and_leaves_no_process(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "archive", "--shutdown-time", "0.2")
    with daemon, daemon.client() as client:
        client.execute_command("EVAL '1'")
        thread = threading.Thread(target=lambda: _fails(client, "EVAL '(let loop () (loop))'"))
        thread.start()
        time.sleep(0.2)
        found = workers(daemon)
        assert daemon.stop() == 0
        thread.join()
    assert found
    assert not any(Path(f"/proc/{worker}").exists() for worker in found)


def _wait_until_dead(process: int) -> None:
    status = Path(f"/proc/{process}/status")
    while status.exists() and "State:\tZ" not in status.read_text(encoding="utf-8"):
        time.sleep(0.01)


def _fails(client: Racs, text: str) -> None:
    with pytest.raises(RacsException):
        client.execute_command(text)


def test_a_library_is_there_in_every_program(tmp_path: Path) -> None:
    library = tmp_path / "site.scm"
    library.write_text("(define (double x) (* 2 x))", encoding="utf-8")
    daemon = Daemon(tmp_path / "archive", "--eval-library", str(library))
    with daemon, daemon.client() as client:
        assert client.execute_command("EVAL '(define (double x) x) (double 4)'") == 4
        assert client.execute_command("EVAL '(double 4)'") == 8


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (
            ["--eval-library", "{}/bad.scm"],
            r"the EVAL library bad.scm: car: expected a pair, got 1",
        ),
        (["--eval-library", "{}/none.scm"], r"the EVAL library .*none.scm cannot be read"),
        (["--eval-commands", "CREATE DROP"], "the setting eval_commands names DROP"),
    ],
)
def test_a_mistake_in_the_settings_keeps_the_server_from_starting(
    tmp_path: Path, flags: list[str], problem: str
) -> None:
    (tmp_path / "bad.scm").write_text("(define ok 1)\n(car 1)", encoding="utf-8")
    with pytest.raises(AssertionError, match=problem):
        Daemon(tmp_path / "archive", *(flag.format(tmp_path) for flag in flags))


def test_eval_can_be_turned_off(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "archive", "--eval-workers", "0")
    with (
        daemon,
        daemon.client() as client,
        pytest.raises(RacsException, match="EVAL is turned off"),
    ):
        client.execute_command("EVAL '1'")
