"""The record of a run."""

import pytest

from racs.runs import RunFile, decode, encode

TEXT = b"""{
  "version": 1, "rune": "Reverb", "run": "59f2", "status": "error", "method": "add",
  "parameters": {"wet": {"type": "float", "value": 0.5}},
  "outputs": [{"number": 1, "name": "a.wav", "type": "audio",
    "stream": "runes/Reverb/59f2/out/001-a.wav"}],
  "error": "Boom", "logs": "x\\ny", "of a later minor change": 1
}"""


def test_reading_one() -> None:
    record = decode(TEXT)
    assert record.status == "error"
    assert record.parameters["wet"]["value"] == 0.5
    assert record.outputs == (
        RunFile(number=1, name="a.wav", type="audio", stream="runes/Reverb/59f2/out/001-a.wav"),
    )
    assert record.inputs == ()
    assert decode(encode(record)) == record


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", TEXT.replace(b": 1, ", b": 2, ", 1)])
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(data)
