"""The client ``runes-client==0.9.4`` as it is on PyPI, against a real hub.

It lives in an environment of its own, which ``scripts/runes.sh`` makes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from racs.runs import decode, record_id
from tests.certificates import make_certificate
from tests.runes.hub import NEEDS_CLIENT, ROOT, HubDaemon, Json, Launched, Page, wait_for

pytestmark = NEEDS_CLIENT


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubDaemon]:
    with HubDaemon(tmp_path_factory.mktemp("hub") / "archive") as running:
        yield running


@pytest.fixture(scope="module")
def rune(hub: HubDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    with Launched(hub.hub, tmp_path_factory.mktemp("rune")) as running:
        yield running


@pytest.fixture(scope="module")
def page(hub: HubDaemon, rune: Launched) -> Iterator[Page]:
    with Page(hub.hub) as page:
        yield page


@pytest.fixture(scope="module")
def token(page: Page) -> str:
    found: str = page.rune()["token"]
    return found


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tone") / "tone.wav"
    samples = np.random.default_rng(1).integers(-20_000, 20_000, (4410, 2), np.int16)
    soundfile.write(path, samples, 44_100)
    return path


def stored(hub: HubDaemon, stream_id: str) -> np.ndarray:
    with hub.client() as racs:
        return np.array(racs.execute_command(f"RANGE '{stream_id}' 0 1000000"))


def check_output(hub: HubDaemon, made: Json, source: Path) -> None:
    """Compare what is archived, and what is given out, with what the rune has handed over."""
    response = httpx.get(made["url"])
    assert sha256(response.content).hexdigest() == made["sha256"]
    assert response.content == source.read_bytes()
    assert stored(hub, made["stream"]).tolist() == samples(source)


def samples(path: Path) -> list[int]:
    found: list[int] = soundfile.read(path, dtype="int16")[0].ravel().tolist()
    return found


def test_the_form(page: Page, token: str) -> None:
    rune = page.ask("GET", f"runes/{token}")
    assert (rune["name"], rune["description"]) == ("My Remote Code", "This is not a template")
    assert [(each["name"], each["component"], each["default"]) for each in rune["form"]] == [
        ("a", "slider", 5),
        ("b", "file", None),
        ("c", "choice", "grapes"),
    ]
    assert (rune["form"][0]["min"], rune["form"][0]["max"]) == (0, 10)


def test_an_int_a_recording_and_a_choice(
    hub: HubDaemon, page: Page, token: str, tone: Path
) -> None:
    run = page.ended(page.run(token, a=7, b=page.upload(tone), c="oranges"))
    assert (run["state"], run["message"], run["error"]) == ("completed", "This is a message", None)
    assert "given 7" in run["logs"]
    assert "['int', 'str', 'str']" in run["logs"]
    (given,), (made,) = run["inputs"], run["outputs"]
    assert given["stream"].endswith(f"/{run['id']}/in/b")
    assert stored(hub, given["stream"]).tolist() == samples(tone)
    assert (made["name"], made["type"]) == ("tone.wav", "audio")
    check_output(hub, made, tone)
    with hub.client() as racs:
        record = decode(racs.attachment(record_id("My Remote Code", run["id"]), "run.json"))
    assert record.parameters["a"] == {"value": 7, "type": "int"}
    assert record.outputs[0].sha256 == made["sha256"]


def test_values_that_do_not_fit_are_not_sent(page: Page, token: str) -> None:
    for values, problem in [({"a": 11}, "at most 10"), ({"c": "apples"}, "one of 'cherries'")]:
        response = page.http.post(f"runes/{token}/runs", json={"values": values})
        assert response.status_code == 400
        assert problem in response.json()["detail"]


def test_one_that_raises(page: Page, token: str, tone: Path) -> None:
    run = page.ended(page.run(token, b=page.upload(tone), c="raise"))
    assert run["state"] == "error"
    assert "boom" in run["error"]
    assert [each["name"] for each in run["outputs"]] == ["tone.wav"], "an error may carry files"


def test_one_that_blocks_is_not_taken_for_dead(page: Page, token: str, tone: Path) -> None:
    first = page.run(token, b=page.upload(tone), c="block")
    second = page.run(token, b=page.upload(tone), c="grapes")
    assert page.ask("GET", f"runs/{second['id']}")["state"] == "pending"
    runs = [page.ended(first), page.ended(second)]
    assert [run["state"] for run in runs] == ["completed", "completed"]
    assert runs[0]["ended"] <= runs[1]["started"]


def test_one_that_prints_much(page: Page, token: str) -> None:
    run = page.ended(page.run(token, c="much"))
    assert run["state"] == "completed"
    assert run["logs_size"] > 1 << 20
    assert "much is printed" in run["logs"]
    logs = page.http.get(f"runs/{run['id']}/logs").text
    assert "characters are left out" in logs
    assert logs.count("much is printed") > 10_000


def test_fifty_files_and_equal_names(hub: HubDaemon, page: Page, token: str, tone: Path) -> None:
    many = page.ended(page.run(token, b=page.upload(tone), c="many"))
    assert len({each["stream"] for each in many["outputs"]}) == 50
    equal = page.ended(page.run(token, b=page.upload(tone), c="equal"))
    assert [each["name"] for each in equal["outputs"]] == ["same.wav", "same.wav"]
    for each in (*many["outputs"], *equal["outputs"]):
        check_output(hub, each, tone)


def test_odd_names(hub: HubDaemon, page: Page, token: str, tone: Path) -> None:
    odd = tone.with_name("schöne Töne; rm -rf.WAV")
    odd.write_bytes(tone.read_bytes())
    run = page.ended(page.run(token, b=page.upload(odd), c="odd"))
    sound, note = run["outputs"]
    assert sound["name"] == "a b&c#ü%41=.wav"
    check_output(hub, sound, tone)
    assert (note["name"], note["type"]) == ("note.txt", "text")
    with hub.client() as racs:
        assert racs.attachment(run["record"], note["attachment"]) == b"hello"


def test_files_appear_as_they_come_and_a_run_can_be_stopped(
    page: Page, rune: Launched, token: str, tone: Path
) -> None:
    run = page.run(token, b=page.upload(tone), c="wait")
    assert wait_for(partial(page.with_outputs, run))["state"] == "processing"
    assert page.ask("POST", f"runs/{run['id']}/stop") == {"stopped": 1}
    assert page.ended(run)["state"] == "aborted"
    after = page.ended(page.run(token, b=page.upload(tone), c="grapes"))
    assert after["state"] == "completed", "its process was ended, and began again"


def test_two_runes_at_once_and_a_hub_that_is_killed(tmp_path: Path, tone: Path) -> None:
    with (
        ExitStack() as stack,
        HubDaemon(tmp_path / "archive") as hub,
        Launched(hub.hub, tmp_path / "one", "One") as one,
        Launched(hub.hub, tmp_path / "two", "Two") as two,
    ):
        page = stack.enter_context(Page(hub.hub))
        runs = []
        for name in ("One", "Two"):
            found = page.rune(name)
            runs.append(page.run(found["token"], b=page.upload(tone), c="wait"))
            runs.append(page.run(found["token"], b=page.upload(tone), c="equal"))
        for run in runs[::2]:
            wait_for(partial(page.with_outputs, run))
        hub.kill()
        with HubDaemon(tmp_path / "archive", hub_port=hub.hub_port) as again:
            for launched in (one, two):
                (launched.scratch / "go on").touch()
            ended = [page.ended(run) for run in runs]
            assert [run["state"] for run in ended] == ["completed"] * 4
            for run in ended:
                assert len(run["outputs"]) == 2
                for each in run["outputs"]:
                    check_output(again, each, tone)


def test_over_tls_inputs_are_fetched_from_the_hub(tmp_path: Path, tone: Path) -> None:
    cert, key, trusted = make_certificate(tmp_path)
    flags = ["--tls-cert", str(cert), "--tls-key", str(key)]
    with (
        HubDaemon(tmp_path / "archive", *flags) as hub,
        Launched(hub.hub, tmp_path / "rune", "My Remote Code", "--ca", str(trusted)),
        Page(hub.hub, trusted=trusted) as page,
    ):
        token = page.rune()["token"]
        page.ask("PUT", f"runes/{token}/target", json={"handover": "url"})
        run = page.ended(page.run(token, b=page.upload(tone), c="grapes"))
        assert (run["state"], run["error"]) == ("completed", None)
        (given,), (made,) = run["inputs"], run["outputs"]
        with hub.client(tls=trusted) as racs:
            ids = given["stream"], made["stream"]
            kept = [list(racs.execute_command(f"RANGE '{each}' 0 100")) for each in ids]
        assert kept[0] == samples(tone)
        # on the way in the client converts what it fetches: a sample is cut, not rounded
        got = samples(tmp_path / "rune" / "got.wav")
        assert kept[1] == got
        assert np.abs(np.array(got) - samples(tone)).max() <= 1


def test_a_new_rune_and_a_notebook_work(hub: HubDaemon, tmp_path: Path, tone: Path) -> None:
    new = [sys.executable, "-c", "from racs.cli.main import cli; cli()", "rune", "new", "hello"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(new, cwd=tmp_path, env=environment, check=True)
    source = (tmp_path / "hello.py").read_text(encoding="utf-8")
    cells = [{"cell_type": "code", "source": source.replace('"hello"', '"notebook"')}]
    (tmp_path / "hello.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    for name, script in [("hello", "hello.py"), ("notebook", "hello.ipynb")]:
        with (
            Launched(hub.hub, tmp_path / name, name, script=tmp_path / script),
            Page(hub.hub) as page,
        ):
            run = page.run(page.rune(name)["token"], sound=page.upload(tone), times=1)
            ended = page.ended(run)
            assert (ended["state"], ended["message"]) == ("completed", "0.10 s of calm sound")
            check_output(hub, ended["outputs"][0], tone)
