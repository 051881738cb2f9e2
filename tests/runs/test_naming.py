"""The ids of the streams of runs."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from racs.runs import RunStream, input_id, output_id, parse_id, record_id
from racs.runs.naming import runs_pattern
from racs_server.glob import compile_glob

ANY_TEXT = st.text(st.characters(), max_size=400)


def test_plain_names_stay_as_they_are() -> None:
    assert input_id("Reverb", "7c1e", "dry") == "runes/Reverb/7c1e/in/dry"
    assert (
        output_id("Reverb", "7c1e", 1, "wet take.wav") == "runes/Reverb/7c1e/out/001-wet take.wav"
    )
    assert (
        output_id("Hall, größer", "7c1e", 1234, "é.wav") == "runes/Hall, größer/7c1e/out/1234-é.wav"
    )
    assert record_id("Reverb", "7c1e") == "runes/Reverb/7c1e/run"


def test_what_no_id_can_hold_becomes_an_underscore_and_a_hash() -> None:
    assert input_id("Reverb", "7c1e", "dry/wet") == "runes/Reverb/7c1e/in/dry_wet-01b14bc3"
    assert input_id("Reverb", "7c1e", "dry\nwet").startswith("runes/Reverb/7c1e/in/dry_wet-")
    assert input_id("Reverb", "7c1e", "dry\nwet") != input_id("Reverb", "7c1e", "dry/wet")


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
@example("ü" * 300, "r" * 300, "\ud800" * 300)
@example("", "", "")
@example("a/b", "../..", "in/out")
def test_every_id_can_be_one_and_says_what_it_is(rune: str, run: str, name: str) -> None:
    for stream_id, kind in [
        (input_id(rune, run, name), "in"),
        (output_id(rune, run, 1234, name), "out"),
        (record_id(rune, run), "run"),
    ]:
        assert 1 <= len(stream_id.encode()) <= 255
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in stream_id)
        found = parse_id(stream_id)
        assert found is not None
        assert found.kind == kind
    assert compile_glob(runs_pattern(rune))(record_id(rune, run))
    assert compile_glob(runs_pattern())(record_id(rune, run))


@given(ANY_TEXT, ANY_TEXT)
@example("dry/wet", "dry_wet-01b14bc3")
def test_different_names_stay_different(one: str, other: str) -> None:
    assert (input_id("r", "1", one) == input_id("r", "1", other)) is (one == other)


def test_reading_an_id() -> None:
    assert parse_id("runes/a/b/out/001-x.wav") == RunStream("a", "b", "out", "001-x.wav")
    assert parse_id("runes/a/b/run") == RunStream("a", "b", "run", "")


@pytest.mark.parametrize("stream_id", ["chopin", "runes/a/b", "runes/a/b/up/c", "x/a/b/run"])
def test_other_ids_are_of_no_run(stream_id: str) -> None:
    assert parse_id(stream_id) is None
