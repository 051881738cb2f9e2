"""Every example of the README runs as it stands, but for the port; every table is current."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from racs.runes import Run, runs
from scripts.reference import current
from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```python\n(.*?)```", TEXT, re.DOTALL))


def run(name: str, daemon: Daemon, **given: object) -> dict[str, object]:
    code = EXAMPLES[name].replace("port=6381", f"port={daemon.port}")
    code = code.replace("Racs()", f"Racs(port={daemon.port})")
    code = code.replace("Racs(pool", f"Racs(port={daemon.port}, pool")
    names: dict[str, object] = dict(given)
    exec(compile(code, f"README: {name}", "exec"), names)
    return names


def test_every_python_block_is_an_example_that_is_run_here() -> None:
    assert len(EXAMPLES) == TEXT.count("```python")
    here = Path(__file__).read_text(encoding="utf-8")
    assert set(EXAMPLES) == set(re.findall(r'run\("(\w+)", daemon', here))


def test_every_link_within_the_page_has_its_heading_and_the_contents_have_all() -> None:
    headings = re.findall(r"^(##+) (.*)$", TEXT, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for _, name in headings]
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= set(anchors)
    contents = anchors.index("contents")
    listed = re.findall(r"\(#([^)]+)\)", TEXT.split("## Contents")[1].split("\n## ")[0])
    chapters = [
        anchor for (depth, _), anchor in zip(headings, anchors, strict=True) if depth == "##"
    ]
    assert set(chapters) - set(anchors[: contents + 1]) <= set(listed)
    assert [anchor for anchor in anchors if anchor in listed] == listed


def test_the_first_example(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    run("first", daemon)
    assert capsys.readouterr().out == "40000\n"
    assert soundfile.info("words.mp3").frames == 40_000


def test_the_main_example(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    data = np.random.default_rng(3).integers(-(2**15), 2**15, 44100 * 2 * 3).tolist()
    names = run("main", daemon, data=data)
    assert capsys.readouterr().out == "['chopin']\n44100\n"
    result = names["res"]
    assert isinstance(result, np.ndarray)
    assert result.dtype == np.int32
    assert result.tolist() == data


def test_the_example_of_sending(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    run("send", daemon)
    size, files, error = capsys.readouterr().out.splitlines()
    assert (size, files) == ("288000", "['notes.txt']")
    assert error.startswith("there is no stream 'takes/tuesday': CREATE it, or LIST")


def test_the_examples_of_processing_and_of_the_async_client(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    run("send", daemon)
    capsys.readouterr()
    run("process", daemon)
    assert capsys.readouterr().out == "48000\n8000\n96000\n"
    info = soundfile.info(tmp_path / "monday.flac")
    assert (info.frames, info.samplerate, info.subtype) == (24000, 48000, "PCM_24")
    run("async", daemon)
    assert capsys.readouterr().out == "32000\n"


def test_the_example_of_files(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    run("send", daemon)
    capsys.readouterr()
    run("files", daemon)
    assert capsys.readouterr().out == "True\n"
    assert soundfile.info(tmp_path / "monday.opus").frames == 48_000


def test_the_example_of_what_was_played_between_two_moments(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    music = DATA / "music_guitar_44k_stereo.flac"
    run("main", daemon, data=str(music))
    monkeypatch.chdir(tmp_path)
    run("moments", daemon)
    found, rate = soundfile.read(tmp_path / "chopin.mp3")
    played, _ = soundfile.read(music, frames=30 * rate)
    assert (rate, found.shape) == (44_100, played.shape)
    assert np.corrcoef(found.ravel(), played.ravel())[0, 1] > 0.99


def test_the_example_of_a_program(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    tone = np.sin(np.arange(12 * 8000) / 5)
    takes = {"take-quiet": 0.1 * tone, "take-loud": 0.9 * tone, "take-short": tone[:8000]}
    with daemon.client() as racs:
        for name, audio in (takes | {"other": tone}).items():
            racs.execute_command(f"CREATE '{name}' 8000 1 16")
            racs.stream(name).execute(audio)
    names = run("eval", daemon)
    assert capsys.readouterr().out == "6\nb'RIFF' 80044\n"
    wav = names["wav"]
    assert isinstance(wav, bytes)
    found = np.frombuffer(wav[44:], np.int16)
    # in the middle, where nothing is faded
    assert np.allclose(found[8000:24000], 0.9 * tone[8000:24000] * 2**15, atol=2)
    assert (found[0], abs(int(found[-1])) < 10) == (0, True)


def test_the_example_of_listening(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    run("send", daemon)
    capsys.readouterr()
    run("live", daemon)
    assert capsys.readouterr().out == "72000\nready\n"


def test_the_example_of_a_rune(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RACS_SPOOL", str(tmp_path / "spool"))
    soundfile.write("take.wav", np.linspace(-1, 1, 1000), 44_100, "PCM_16")
    again = run("runes", daemon)["again"]
    assert isinstance(again, Run)
    status, streams = capsys.readouterr().out.splitlines()[:2]
    assert status == "completed 0.5 listen to this"
    assert "/in/sound', 'runes/backwards/" in streams
    assert again.status == "completed"
    with daemon.client() as racs:
        first, second = (
            racs.execute_command(f"EXTRACT '{stream_id}' 0 {2**53}")
            for stream_id in (each.streams[1] for each in runs(racs))
        )
    assert len(first) == 1000
    assert np.array_equal(first, second)


def test_the_examples_of_the_command_line(daemon: Daemon, tmp_path: Path) -> None:
    """Each line after a $ is typed into a shell; what follows is what it prints."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    program = f'racs() {{ {shlex.quote(sys.executable)} -m racs "$@"; }}\n'
    environment = {"RACS_URL": f"racs://127.0.0.1:{daemon.port}", "PYTHONPATH": str(ROOT)}
    [text] = re.findall(r"<!-- example: console -->\n```console\n(.*?)```", TEXT, re.DOTALL)
    for line, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        done = subprocess.run(
            ["bash", "-c", program + line],
            cwd=tmp_path,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert done.stdout == expected, line


def test_the_recipe_for_a_room(daemon: Daemon, tmp_path: Path) -> None:
    """One turn of its loop; the microphone gives a recording, and notes what it was told."""
    water, _ = soundfile.read(DATA / "field_water_44k_mono.wav", dtype="int16")
    water.tofile(tmp_path / "heard.raw")
    [recipe] = re.findall(r"<!-- example: room -->\n```sh\n(.*?)```", TEXT, re.DOTALL)
    stand_ins = f"""
        sleep() {{ [ ! -e told ]; }}
        arecord() {{ echo "$*" > told; cat heard.raw; }}
        racs() {{ {shlex.quote(sys.executable)} -m racs "$@"; }}
    """
    environment = {"RACS_URL": f"racs://127.0.0.1:{daemon.port}", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        ["bash", "-c", stand_ins + recipe],
        cwd=tmp_path,
        env=os.environ | environment,
        check=True,
        timeout=60,
    )
    told = (tmp_path / "told").read_text(encoding="utf-8").split()
    assert 0 < int(told[told.index("-d") + 1]) <= 25 * 3600
    with daemon.client() as racs:
        [stream_id] = racs.execute_command("LIST 'room/*'")
        assert re.fullmatch(r"room/\d{4}-\d\d-\d\d", stream_id)
        assert racs.execute_command(f"INFO '{stream_id}' 'sample_rate'") == 48_000
        assert 0 < racs.execute_command(f"TTL '{stream_id}'") <= 30 * 86_400
        assert np.array_equal(racs.execute_command(f"EXTRACT '{stream_id}' 0 {2**53}"), water)


def test_the_recipe_for_calls(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    speech, _ = soundfile.read(DATA / "speech_austen_16k_mono.wav", dtype="int16")

    async def line(samples: np.ndarray) -> AsyncIterator[np.ndarray]:
        for first in range(0, len(samples), 320):
            yield samples[first : first + 320]

    run("calls", daemon, caller=line(speech[:32_000]), agent=line(speech[32_000:64_000]))
    with daemon.client() as racs:
        sides = [
            racs.execute_command(f"EXTRACT 'calls/4711/{side}' 0 {2**53}")
            for side in ("caller", "agent")
        ]
    assert np.array_equal(np.concatenate(sides), speech[:64_000])
    info = soundfile.info("4711.mp3")
    assert (info.frames, info.channels, info.samplerate) == (32_000, 2, 16_000)


def test_the_recipes_for_clips_and_levels(
    daemon: Daemon,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    water, rate = soundfile.read(DATA / "field_water_44k_mono.wav", dtype="int16")
    with daemon.client() as racs:
        racs.execute_command(f"CREATE 'garden' {rate} 1 16")
        racs.stream("garden").execute(water)
        ref = racs.execute_command("INFO 'garden' 'ref'")
    run("clips", daemon, times=[ref + 1500, ref + 3000])
    first, _ = soundfile.read(f"garden-{ref + 1500}.flac", dtype="int16")
    second, _ = soundfile.read(f"garden-{ref + 3000}.flac", dtype="int16")
    assert np.array_equal(first, water[rate // 2 : 5 * rate // 2])
    assert np.array_equal(second, water[2 * rate :])

    levels = run("levels", daemon)["levels"]
    assert isinstance(levels, list)
    seconds = [water[at : at + rate] / 2.0**15 for at in range(0, len(water), rate)]
    assert np.allclose(levels, [10 * np.log10(np.mean(each**2)) for each in seconds])
    loudest = int(np.argmax(levels))
    moment = np.datetime64(ref + 1000 * loudest, "ms")
    assert capsys.readouterr().out == f"{max(levels):.1f} dBFS at {moment}\n"


def test_the_reference_is_current() -> None:
    assert current(TEXT) == TEXT, "run: python -m scripts.reference"
