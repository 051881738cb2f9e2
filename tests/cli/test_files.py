"""import and export, against a real server and real files."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from racs.cli.exporting import FORMATS
from racs.cli.main import cli
from tests.cli.conftest import ROOT, Run
from tests.e2e.daemon import Daemon

DATA = ROOT / "tests" / "data"
NOISE = np.random.default_rng(6).integers(-(2**15), 2**15, (30_000, 2)).astype(np.int16)


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "noise.wav", NOISE, 8000, "PCM_16")
    return tmp_path / "noise.wav"


def sent(server: Daemon, name: str) -> np.ndarray:
    with server.client() as racs:
        return np.concatenate(list(racs.extract_blocks(name, 0, 2**53)))


def test_files_become_streams_of_their_names(
    racs: Run, server: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DATA)
    assert racs("import", "*.wav").exit_code == 0
    for name in ("field_water_44k_mono", "speech_austen_16k_mono"):
        expected, _ = soundfile.read(f"{name}.wav", dtype="int16")
        assert np.array_equal(sent(server, name), expected)
    again = racs("import", "field_water_44k_mono.wav")
    assert again.stdout == "field_water_44k_mono  3.5 s, was there already\n"


def test_a_folder_is_searched_and_its_folders_are_part_of_the_ids(
    racs: Run, noise: Path, tmp_path: Path
) -> None:
    (tmp_path / "in" / "june").mkdir(parents=True)
    noise.rename(tmp_path / "in" / "june" / "noise.wav")
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    result = racs("import", tmp_path / "in", "--prefix", "garden/", "--json", "--expire", "1h")
    [done] = json.loads(result.stdout)
    assert (done["id"], done["added"]) == ("garden/june/noise", len(NOISE))
    assert json.loads(racs("info", "garden/june/noise", "--json").stdout)["ttl"] <= 3600


def test_an_import_goes_on_where_it_broke_off(racs: Run, server: Daemon, noise: Path) -> None:
    with server.client() as client:
        client.execute_command("CREATE 'broken' 8000 2 16")
        client.stream("broken").execute(NOISE[:12_345])
    [done] = json.loads(racs("import", noise, "--id", "broken", "--json").stdout)
    assert done["added"] == len(NOISE) - 12_345
    assert np.array_equal(sent(server, "broken").reshape(-1, 2), NOISE)


@pytest.mark.parametrize("place", [0, 12_344])
def test_audio_that_is_not_the_files_head_is_not_added_to(
    place: int, racs: Run, server: Daemon, noise: Path
) -> None:
    other = NOISE[:12_345].copy()
    other[place] ^= 1
    with server.client() as client:
        client.execute_command(f"CREATE 'other{place}' 8000 2 16")
        client.stream(f"other{place}").execute(other)
    result = racs("import", noise, "--id", f"other{place}")
    assert result.exit_code == 1
    assert "has other audio than 'noise.wav': choose another --id" in result.stderr
    assert np.array_equal(sent(server, f"other{place}").reshape(-1, 2), other)


def test_other_formats_become_24_bits_and_it_says_so(racs: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "float.wav", NOISE[:100] / 2**15, 8000, "FLOAT")
    soundfile.write(tmp_path / "eight.wav", NOISE[:100], 8000, "PCM_U8")
    result = racs("import", tmp_path / "float.wav", tmp_path / "eight.wav")
    assert result.exit_code == 0
    assert "float.wav: its samples are 32 bit float; the stream has 24 bits" in result.stderr
    assert "eight.wav" not in result.stderr
    assert json.loads(racs("info", "float", "--json").stdout)["bit_depth"] == 24
    assert json.loads(racs("info", "eight", "--json").stdout)["bit_depth"] == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope.wav"], "there is no file 'nope.wav'"),
        (["nope*.wav"], "there is no file 'nope*.wav'"),
        (["empty"], "there is no audio file in the folder"),
        (["noise.wav", "copy/noise.wav"], "would both become the stream 'noise'"),
        (["noise.wav", "other.wav", "--id", "x"], "--id names one file's stream"),
    ],
)
def test_files_that_are_not_there_or_collide_are_told(
    arguments: list[str], message: str, racs: Run, noise: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(noise.parent)
    Path("empty").mkdir()
    Path("copy").mkdir()
    for copy in ("copy/noise.wav", "other.wav"):
        Path(copy).write_bytes(noise.read_bytes())
    result = racs("import", *arguments)
    assert (result.exit_code, message in result.stderr) == (2, True)


def test_a_folder_without_audio_does_not_keep_others_out(
    racs: Run, noise: Path, tmp_path: Path
) -> None:
    (tmp_path / "papers").mkdir()
    result = racs("import", tmp_path / "papers", noise, "--prefix", "beside/")
    assert (result.exit_code, result.stdout) == (0, "beside/noise  3.8 s\n")
    alone = racs("import", tmp_path / "papers")
    assert (alone.exit_code, "there is no audio file in the folder" in alone.stderr) == (2, True)


def test_a_file_that_is_no_audio_does_not_keep_others_out(racs: Run, noise: Path) -> None:
    wrong = noise.with_name("wrong.wav")
    wrong.write_text("no audio")
    result = racs("import", wrong, noise, "--prefix", "some/")
    assert result.exit_code == 1
    assert result.stdout == "some/noise  3.8 s\n"
    assert "wrong.wav: cannot be read as audio: " in result.stderr
    assert "1 file of 2 could not be imported" in result.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_a_stream_becomes_a_file_of_every_format(name: str, racs: Run, tmp_path: Path) -> None:
    racs("import", DATA / "music_guitar_44k_stereo.flac", "--id", "guitar")
    path = tmp_path / f"out.{name}"
    result = racs("export", "guitar", path, "--from", "1..2.5")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{path}  1.5 s, ")
    if name == "raw":
        assert path.stat().st_size == 66150 * 4
        return
    info = soundfile.info(path)
    assert (info.channels, info.frames / info.samplerate) == (2, pytest.approx(1.5, abs=1e-4))


def test_what_is_exported_is_exact(racs: Run, noise: Path, tmp_path: Path) -> None:
    racs("import", noise, "--id", "exact")
    out = tmp_path / "out.wav"
    for chosen, first, stop in (
        ([], 0, 30_000),
        (["--from", "0.5", "--to", "+1s"], 4000, 12_000),
        (["--last", "0.125"], 29_000, 30_000),
        (["--from", "-1s", "--to", "-0.5s"], 22_000, 26_000),
    ):
        assert racs("export", "exact", out, *chosen).exit_code == 0
        assert np.array_equal(soundfile.read(out, dtype="int16")[0], NOISE[first:stop])
    data = json.loads(racs("export", "exact", out, "--json").stdout)
    assert (data["frames"], data["size"]) == (30_000, out.stat().st_size)
    piped = racs("export", "exact", "-", "--format", "wav").stdout_bytes
    assert piped == out.read_bytes()


def test_a_file_is_converted_as_it_is_exported(racs: Run, noise: Path, tmp_path: Path) -> None:
    racs("import", noise, "--id", "converted")
    out = tmp_path / "out.wav"
    racs("export", "converted", out, "--rate", 16000, "--channels", 1, "--depth", 24)
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_24")


def test_a_pipe_and_a_link_stay_what_they_are(racs: Run, noise: Path, tmp_path: Path) -> None:
    racs("import", noise, "--id", "piped")
    pipe, link, named = tmp_path / "pipe.wav", tmp_path / "link.wav", tmp_path / "named.wav"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        assert racs("export", "piped", pipe).exit_code == 0
        assert read.result(timeout=30)[:4] == b"RIFF"
    assert pipe.is_fifo()
    named.write_text("what was there")
    link.symlink_to(named)
    assert racs("export", "piped", link).exit_code == 0
    assert link.is_symlink()
    assert named.read_bytes() == read.result()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["out.xyz"], 2, "end it with one of .wav .bwf"),
        (["out.wav", "--from", "tomorow"], 2, "'tomorow' is no time; write one like"),
        (["out.wav", "--from", "09:00..09:00:01"], 2, "there is no audio in that range"),
        (["out.wav", "--last", "1s", "--to", "5"], 2, "leave --from and --to out"),
        (["nowhere/out.wav"], 1, "there is no folder 'nowhere'"),
        (["out.mp3", "--bit-rate", "5"], 1, "bit rate of 5"),
    ],
)
def test_an_export_that_cannot_be_done_is_told_and_leaves_nothing(
    arguments: list[str],
    code: int,
    message: str,
    racs: Run,
    noise: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(noise.parent)
    racs("import", noise, "--id", "wrong")
    result = racs("export", "wrong", *arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert [each.name for each in Path().iterdir()] == ["noise.wav"]


def test_an_import_waits_for_the_lease_of_one_that_was_killed(
    noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Daemon(tmp_path / "archive", "--lease", "2") as server, server.client() as gone:
        gone.execute_command("CREATE 'noise' 8000 2 16 |> OPEN 'noise'")
        monkeypatch.setenv("RACS_URL", f"racs://127.0.0.1:{server.port}")
        result = CliRunner().invoke(cli, ["import", str(noise)])
        assert (result.exit_code, result.stdout) == (0, "noise  3.8 s\n"), result.stderr
        assert "noise is open: waiting" in result.stderr
        assert np.array_equal(sent(server, "noise").reshape(-1, 2), NOISE)
