"""Pipes through the client and a server process: audio out, processed, encoded, and back in."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trio

from racs import AsyncRacs, RacsException, RacsTypeError
from racs.address import Address
from racs.connection import connect
from racs.long_wav import LongWav
from racs.output import Output
from racs.script import run
from tests.audio import model
from tests.e2e.daemon import Daemon

RATE = 44_100


@pytest.fixture
def noise(daemon: Daemon) -> np.ndarray:
    """Three seconds of stereo in the stream 'noise', and of mono in 'left' and 'right'."""
    audio = np.random.default_rng(5).integers(-(2**15), 2**15, (3 * RATE, 2), np.int16)
    with daemon.client() as racs:
        for name, part in (("noise", audio), ("left", audio[:, :1]), ("right", audio[:, 1:])):
            racs.pipeline().create(name, RATE, part.shape[1], 16).open(name).execute()
            racs.stream(name, pcm_data=part)
            racs.pipeline().close(name).execute()
    return audio


def test_pipes_equal_numpy(daemon: Daemon, noise: np.ndarray) -> None:
    audio = noise.astype(np.int64)
    with daemon.client() as racs:
        p = racs.pipeline()
        found = p.range("noise", 0.5, 2.1).gain(1.25).fade(0.5, 0.25).pan(0.3).execute()
        expected = model.gain(audio[22_050 : 22_050 + 92_610], 16, 1.25)
        expected = np.rint(expected * 1.0).astype(np.int64)
        scale = np.ones(len(expected))
        scale[:22_050] = np.arange(22_050) / 22_050
        scale[-11_025:] *= np.arange(11_025)[::-1] / 11_025
        expected = model.pan(model.rounded(expected * scale[:, None], 16), 16, 0.3)
        assert np.array_equal(found.reshape(-1, 2), expected)
        merged = p.reset().range("left", 0, 3).merge("right", 0, 3).execute()
        assert np.array_equal(merged.reshape(-1, 2), noise)
        mixed = p.reset().range("left", 0, 3).mix("right", 0, 2.0).execute()
        assert np.array_equal(mixed[:, None], model.mix(audio[:, :1], audio[: 2 * RATE, 1:], 16))
        assert "GAIN factor" in p.reset().help().execute()


def test_files_are_the_audio(daemon: Daemon, noise: np.ndarray) -> None:
    with daemon.client() as racs:
        p = racs.pipeline()
        wav = p.range("noise", 0, 3).encode(mime_type="audio/wav").execute()
        assert wav[44:] == noise.tobytes()
        flac = p.reset().range("noise", 0, 3).format("audio/flac", RATE, 2, 16).execute()
        samples, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
        assert rate == RATE
        assert np.array_equal(samples, noise)
        mono = p.reset().range("noise", 0, 3).format("audio/flac", 48_000, 1, 24).execute()
        samples, rate = soundfile.read(io.BytesIO(mono), dtype="int32")
        assert (rate, samples.shape) == (48_000, (3 * 48_000,))
        with pytest.raises(RacsException, match="a rate can become at most 100 times"):
            p.reset().range("noise", 0, 3).format("audio/flac", 8, 2, 16).execute()


def test_files_of_every_format_go_to_disk(
    daemon: Daemon, noise: np.ndarray, tmp_path: Path
) -> None:
    with daemon.client() as racs:
        p = racs.pipeline().range("noise", 0, 3)
        for mime_type, start in [
            ("audio/mp3", b"ID3"),
            ("audio/opus", b"OggS"),
            ("audio/vorbis", b"OggS"),
            ("audio/aiff", b"FORM"),
            ("audio/x-bwf", b"RIFF"),
        ]:
            p.reset().range("noise", 0, 3)
            p.format(mime_type=mime_type, sample_rate=48_000, channels=1, bit_depth=16)
            size = p.execute(to=tmp_path / "out")
            data = (tmp_path / "out").read_bytes()
            assert len(data) == size
            assert data.startswith(start)
            assert data == p.execute()
            pipe = io.BytesIO()
            assert p.execute(to=pipe) == size
            assert pipe.getvalue() == data
        with pytest.raises(RacsTypeError, match="open for bytes"):
            p.execute(to=io.StringIO())  # type: ignore[arg-type]
        frm = p.reset().info("noise", "ref").execute()
        p.reset().extract(stream_id="noise", frm=frm, to=frm + 60_000)
        mp3 = p.format(mime_type="audio/mp3", sample_rate=44100, channels=2, bit_depth=16).execute()
        assert soundfile.info(io.BytesIO(mp3)).frames == len(noise)
        with pytest.raises(RacsException, match="kbit/s"):
            p.reset().range("noise", 0, 1).encode("audio/mp3", bit_rate=7).execute(tmp_path / "out")
        with pytest.raises(RacsException, match="RANGE makes no file"):
            p.reset().range("noise", 0, 1).execute(to="out.wav")
        with pytest.raises(RacsException, match="the result is s32v, no file"):
            racs.execute_command("RANGE 'noise' 0 1", to=tmp_path / "out")
        assert (tmp_path / "out").read_bytes() == data
        assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


@pytest.mark.parametrize("mime_type", ["audio/wav", "audio/x-bwf"])
@pytest.mark.parametrize(
    "commands",
    [
        "RANGE 'noise' 0.25 2.5 |> ENCODE {}",
        "RANGE 'noise' 0 3 |> FADE 1 1 |> FORMAT {} 44056 1 24",
        "RANGE 'left' 0 3 |> DEPTH 24 |> GAIN 0.3 |> FORMAT {} 8000 2 16",
    ],
)
def test_pieces_make_the_same_file_as_one_reply(
    daemon: Daemon, noise: np.ndarray, tmp_path: Path, commands: str, mime_type: str
) -> None:
    text = commands.format(f"'{mime_type}'")
    wav = LongWav.of(text)
    assert wav is not None
    wav = wav._replace(most=100_000)
    with daemon.client() as racs:
        whole = racs.execute_command(text)
    connection = connect(Address("127.0.0.1", daemon.port), 5, 5)
    with (tmp_path / "long.wav").open("wb") as file:
        output = Output(file)
        run(wav.receive(connection, output))
    connection.close()
    found = (tmp_path / "long.wav").read_bytes()
    assert len(found) == output.size == len(whole) + 36
    assert found[:16] == b"RF64\xff\xff\xff\xffWAVEds64"
    # all but the sizes
    data = whole.index(b"data") + 4
    assert found[48 : data + 36] == whole[12:data]
    assert found[data + 40 :] == whole[data + 4 :]
    read, rate = soundfile.read(tmp_path / "long.wav", dtype="int32")
    expected, expected_rate = soundfile.read(io.BytesIO(whole), dtype="int32")
    assert rate == expected_rate
    assert np.array_equal(read, expected)


def test_a_stretch_between_two_moments_becomes_a_file_that_plays(
    daemon: Daemon, tmp_path: Path
) -> None:
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE) * 2**15).astype(np.int16)
    with daemon.client() as r:
        r.pipeline().create("chopin", sample_rate=RATE, channels=2, bit_depth=16).execute()
        r.stream("chopin").execute(np.stack([tone, tone], axis=1))
        ref = r.pipeline().info(stream_id="chopin", attr="ref").execute()
        frm = datetime.fromtimestamp(ref / 1000, UTC) + timedelta(seconds=0.5)
        to = frm + timedelta(seconds=2)
        mp3_data = (
            r.pipeline()
            .extract(stream_id="chopin", frm=frm, to=to)
            .format(mime_type="audio/mp3", sample_rate=44100, channels=2, bit_depth=16)
            .execute()
        )
    (tmp_path / "chopin.mp3").write_bytes(mp3_data)
    found, rate = soundfile.read(tmp_path / "chopin.mp3")
    assert (rate, found.shape) == (RATE, (2 * RATE, 2))
    expected = tone[RATE // 2 : RATE // 2 + 2 * RATE] / 2**15
    middle = slice(RATE // 2, 3 * RATE // 2)
    assert np.abs(found[middle, 0] - expected[middle]).max() < 0.02


def test_files_go_to_disk_in_an_event_loop(
    daemon: Daemon, noise: np.ndarray, tmp_path: Path
) -> None:
    async def save() -> int:
        async with AsyncRacs("127.0.0.1", daemon.port) as racs:
            pipeline = racs.pipeline().range("noise", 0, 3).encode("audio/wav")
            size: int = await pipeline.execute(to=tmp_path / "out.wav")
            return size

    assert trio.run(save) == (tmp_path / "out.wav").stat().st_size == 44 + noise.nbytes


def test_a_pipe_fills_a_stream(daemon: Daemon, noise: np.ndarray) -> None:
    with daemon.client() as racs:
        p = racs.pipeline()
        p.create("copy", RATE, 2, 16).open("copy").execute()
        assert p.reset().range("noise", 0, 1).stream("copy").execute() == RATE
        assert p.reset().range("noise", 1, 9).stream("copy").execute() == 2 * RATE
        p.reset().close("copy").execute()
        daemon.kill()
    with Daemon(daemon.data_dir) as again, again.client() as racs:
        found = racs.pipeline().range("copy", 0, 9).execute()
        assert np.array_equal(found.reshape(-1, 2), noise)


def test_long_pipelines_do_not_grow_the_server(daemon: Daemon) -> None:
    with daemon.client() as racs:
        p = racs.pipeline()
        p.create("long", RATE, 2, 16).open("long").execute()
        minute = np.random.default_rng(5).integers(-1000, 1000, (60 * RATE, 2), np.int16)
        racs.stream("long", pcm_data=minute)
        p.reset().range("long", 0, 60).encode("audio/flac").execute()
        before = daemon.memory()
        # silence around the minute: as long a plan, and quick to encode
        pipeline = p.reset().range("long", 0, 60).pad(1200, 1200).gain(0.8).fade(600, 600)
        assert len(pipeline.encode("audio/flac").execute()) > len(minute)
        assert daemon.memory() - before < 64 << 20
