"""Pipelines: the text that each call adds, and what is refused before anything is sent."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from racs import Pipeline, RacsTypeError, RacsValueError

Call = Callable[[Pipeline], Pipeline]


class Recorder:
    """Takes what is executed, and answers with a number that counts up."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> int:
        self.texts.append(text)
        return len(self.texts)


MOMENT = datetime(2023, 12, 25, 22, 30, 45, 123000, UTC)
CALLS: list[tuple[Call, str]] = [
    (
        lambda p: p.create(stream_id="a", sample_rate=44100, channels=2, bit_depth=16),
        "CREATE 'a' 44100 2 16",
    ),
    (lambda p: p.open(stream_id="a"), "OPEN 'a'"),
    (lambda p: p.close(stream_id="it's"), r"CLOSE 'it\'s'"),
    (
        lambda p: p.extract(stream_id="a", frm=MOMENT, to=5000),
        "EXTRACT 'a' 2023-12-25T22:30:45.123000Z 5000",
    ),
    (
        lambda p: p.format(mime_type="audio/wav", sample_rate=8000, channels=1, bit_depth=24),
        "FORMAT 'audio/wav' 8000 1 24",
    ),
    (
        lambda p: p.format("audio/mp3", 44100, 2, 16, bit_rate=192),
        "FORMAT 'audio/mp3' 44100 2 16 192",
    ),
    (lambda p: p.encode("audio/opus", bit_rate=96), "ENCODE 'audio/opus' 96"),
    (lambda p: p.list(pattern="*"), "LIST '*'"),
    (lambda p: p.info(stream_id="a", attr="ref"), "INFO 'a' 'ref'"),
    (lambda p: p.eval(expr='(info "a" "size")'), 'EVAL \'(info "a" "size")\''),
    (lambda p: p.ping(), "PING"),
    (lambda p: p.shutdown(), "SHUTDOWN"),
    (lambda p: p.expire(stream_id="a", seconds=-1), "EXPIRE 'a' -1"),
    (lambda p: p.ttl(stream_id="a"), "TTL 'a'"),
    (lambda p: p.delete(stream_id="a"), "DELETE 'a'"),
    (lambda p: p.ping().attach(stream_id="a", name="it's"), r"PING |> ATTACH 'a' 'it\'s'"),
    (lambda p: p.attachment(stream_id="a", name="x"), "ATTACHMENT 'a' 'x'"),
    (lambda p: p.attachments(stream_id="a"), "ATTACHMENTS 'a'"),
    (lambda p: p.ls(pattern="*"), "LIST '*'"),
    (lambda p: p.search(pattern="*"), "LIST '*'"),
    (lambda p: p.meta(stream_id="a", attr="ref"), "INFO 'a' 'ref'"),
    (lambda p: p.help(), "HELP"),
    (lambda p: p.help(name="PAN"), "HELP 'PAN'"),
    (lambda p: p.range(stream_id="a", start=0.1, duration=30), "RANGE 'a' 0.1 30"),
    (lambda p: p.normalize(lufs=-23), "NORMALIZE -23 -1.0"),
    (lambda p: p.normalize(-16.5, ceiling=-2), "NORMALIZE -16.5 -2"),
    (lambda p: p.loudness(), "LOUDNESS"),
    (lambda p: p.shape(), "SHAPE"),
    (lambda p: p.range("a", 0, 9).peaks(points=500), "RANGE 'a' 0 9 |> PEAKS 500"),
    (lambda p: p.mix(stream_id="a", start=1e-05, duration=0.0), "MIX 'a' 1e-05 0.0"),
    (lambda p: p.merge(stream_id="it's", start=0, duration=1e22), r"MERGE 'it\'s' 0 1e+22"),
    (lambda p: p.gain(gain=np.float64(0.8)), "GAIN 0.8"),
    (lambda p: p.trim(left=0.5, right=0), "TRIM 0.5 0"),
    (lambda p: p.pad(left=1, right=2.5), "PAD 1 2.5"),
    (lambda p: p.fade(in_sec=0.25, out_sec=3), "FADE 0.25 3"),
    (lambda p: p.pan(pan=-0.3), "PAN -0.3"),
    (lambda p: p.clip(min_val=-100, max_val=100), "CLIP -100 100"),
    (lambda p: p.split(channel=1), "SPLIT 1"),
    (lambda p: p.resample(sample_rate=48_000), "RESAMPLE 48000"),
    (lambda p: p.remix(channels=1), "REMIX 1"),
    (lambda p: p.depth(bit_depth=16), "DEPTH 16 0"),
    (lambda p: p.depth(bit_depth=16, seed=7), "DEPTH 16 7"),
    (lambda p: p.depth(bit_depth=16, seed=None), "DEPTH 16 'none'"),
    (lambda p: p.encode(mime_type="audio/flac"), "ENCODE 'audio/flac'"),
    (lambda p: p.ping().stream(stream_id="a"), "PING |> STREAM 'a'"),
]


@pytest.mark.parametrize(("call", "text"), CALLS, ids=[text for _, text in CALLS])
def test_text_of_each_call(call: Call, text: str) -> None:
    run = Recorder()
    pipeline = Pipeline(run)
    assert call(pipeline) is pipeline
    assert repr(pipeline) == f"<Pipeline: {text}>"
    pipeline.execute()
    assert run.texts == [text]


def test_commands_are_piped_in_order_and_kept_until_reset() -> None:
    run = Recorder()
    p = Pipeline(run)
    p.create("a", 44100, 2, 16).open("a")
    assert p.execute() == 1
    assert p.execute() == 2
    assert p.reset() is p
    assert p.close("a").execute() == 3
    text = "CREATE 'a' 44100 2 16 |> OPEN 'a'"
    assert run.texts == [text, text, "CLOSE 'a'"]


def test_empty_pipeline() -> None:
    run = Recorder()
    pipeline = Pipeline(run)
    for _ in range(2):
        with pytest.raises(RacsValueError, match="the pipeline is empty; add a command first"):
            pipeline.execute()
        assert repr(pipeline.ping().reset()) == "<Pipeline: empty>"
    assert run.texts == []


WRONG: list[Callable[[Any], object]] = [
    lambda p: p.create(stream_id=b"a", sample_rate=44100, channels=2, bit_depth=16),
    lambda p: p.create(stream_id="a", sample_rate=44100.0, channels=2, bit_depth=16),
    lambda p: p.create(stream_id="a", sample_rate=44100, channels=True, bit_depth=16),
    lambda p: p.create(stream_id="a", sample_rate=44100, channels=2, bit_depth="16"),
    lambda p: p.open(stream_id=None),
    lambda p: p.close(stream_id=1),
    lambda p: p.ping().stream(stream_id=1),
    lambda p: p.extract(stream_id="a", frm="2023-12-25", to=0),
    lambda p: p.extract(stream_id="a", frm=0, to=1.5),
    lambda p: p.format(mime_type=None, sample_rate=1, channels=1, bit_depth=16),
    lambda p: p.list(pattern=None),
    lambda p: p.info(stream_id="a", attr=1),
    lambda p: p.eval(expr=1),
    lambda p: p.help(name=1),
    lambda p: p.range(stream_id="a", start="0", duration=1),
    lambda p: p.mix(stream_id="a", start=0, duration=True),
    lambda p: p.gain(gain=None),
    lambda p: p.clip(min_val=0.5, max_val=1),
    lambda p: p.split(channel=1.0),
    lambda p: p.encode(mime_type=None),
]


@pytest.mark.parametrize("call", WRONG)
def test_wrong_argument_leaves_the_pipeline_as_it_was(call: Callable[[Any], object]) -> None:
    pipeline = Pipeline(Recorder()).ping()
    with pytest.raises(RacsTypeError, match="must be"):
        call(pipeline)
    assert repr(pipeline).startswith("<Pipeline: PING")
    assert "None" not in repr(pipeline)


@pytest.mark.parametrize(("number", "text"), [(np.float32(0.5), "0.5"), (np.int16(-2), "-2")])
def test_numbers_of_numpy(number: Any, text: str) -> None:
    assert repr(Pipeline(Recorder()).gain(number)) == f"<Pipeline: GAIN {text}>"


@pytest.mark.parametrize("number", [float("nan"), float("-inf"), np.float32("inf")])
def test_numbers_are_finite(number: Any) -> None:
    with pytest.raises(RacsValueError, match="gain must be finite, not"):
        Pipeline(Recorder()).gain(number)


def test_stream_needs_audio_from_the_pipe() -> None:
    with pytest.raises(RacsValueError, match=r"begin with extract.*Racs\.stream"):
        Pipeline(Recorder()).stream("a")


def test_naive_datetime_names_the_argument() -> None:
    naive = MOMENT.replace(tzinfo=None)
    with pytest.raises(RacsValueError, match="to is"):
        Pipeline(Recorder()).extract("a", frm=MOMENT, to=naive)
