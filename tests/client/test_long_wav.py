"""WAV files that no reply can hold: which texts ask for one, and the bytes of a RF64 file."""

from pathlib import Path

import pytest

from racs import Racs, RacsException, RacsValueError
from racs.long_wav import LongWav, rf64_head
from racs.wire import Vector
from racs.wire.replies import encode_error, encode_reply

from .fake_server import FakeServer


def test_the_head_as_hand_written_bytes() -> None:
    fmt = b"fmt \x10\x00\x00\x00" + bytes(16)
    assert rf64_head(fmt, 4, 2) == (
        b"RF64\xff\xff\xff\xffWAVE"
        b"ds64\x1c\x00\x00\x00"
        b"\x4c\x00\x00\x00\x00\x00\x00\x00"
        b"\x04\x00\x00\x00\x00\x00\x00\x00"
        b"\x02\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00"
        b"fmt \x10\x00\x00\x00" + bytes(16) + b"data\xff\xff\xff\xff"
    )


def test_sizes_beyond_four_gigabytes() -> None:
    head = rf64_head(b"", 3 * 2**32 + 1, 2**32 // 3 * 3)
    assert int.from_bytes(head[28:36], "little") == 3 * 2**32 + 1
    # the rest of the file, and the byte after an odd number of them
    assert int.from_bytes(head[20:28], "little") == len(head) - 8 + 3 * 2**32 + 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RANGE 'a' 0 9 |> ENCODE 'audio/wav'", ("RANGE 'a' 0 9", "'audio/wav'", None)),
        ('extract "a" 0 9 |> encode "audio/x-bwf" ', ('extract "a" 0 9', '"audio/x-bwf"', None)),
        (
            "RANGE 'a' 0 9 |> GAIN 2 |> FORMAT 'audio/x-wav' 8000 1 16",
            ("RANGE 'a' 0 9 |> GAIN 2", "'audio/x-wav'", (8000, 1, 16)),
        ),
        ("RANGE 'a' 0 9 |> ENCODE 'audio/flac'", None),
        ("EVAL '(f)' |> ENCODE 'audio/wav'", None),
        ("RANGE 'a' 0 9", None),
        ("ATTACHMENT 'a' 'x'", None),
    ],
)
def test_which_texts_ask_for_one(text: str, expected: object) -> None:
    wav = LongWav.of(text)
    assert (wav and wav[:3]) == expected


REFUSED = encode_error("more than 4 GiB, the most that one reply holds")


def piece(pcm: bytes) -> bytes:
    fmt = b"fmt \x10\x00\x00\x00" + bytes(16)
    body = b"WAVE" + fmt + b"data" + len(pcm).to_bytes(4, "little") + pcm + bytes(len(pcm) % 2)
    return encode_reply(Vector("u8v", b"RIFF" + len(body).to_bytes(4, "little") + body))


def test_what_the_server_refuses_as_too_long_comes_in_pieces(
    server: FakeServer, r: Racs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("racs.long_wav.MOST", 6)
    server.replies = {
        "RANGE 'a' 0 9 |> ENCODE 'audio/wav'": REFUSED,
        "RANGE 'a' 0 9 |> SHAPE": encode_reply([10, 1, 24, 3]),
        "RANGE 'a' 0 9 |> TRIM 0 0.15 |> ENCODE 'audio/wav'": piece(b"abcdef"),
        "RANGE 'a' 0 9 |> TRIM 0.15 0 |> ENCODE 'audio/wav'": piece(b"ghi"),
    }
    size = r.pipeline().range("a", 0, 9).encode("audio/wav").execute(to=tmp_path / "long.wav")
    found = (tmp_path / "long.wav").read_bytes()
    assert (len(found), found[:4], found[-10:]) == (size, b"RF64", b"abcdefghi\0")


def test_audio_that_grows_meanwhile_is_an_error(
    server: FakeServer, r: Racs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("racs.long_wav.MOST", 6)
    server.replies = {
        "RANGE 'a' 0 9 |> ENCODE 'audio/wav'": REFUSED,
        "RANGE 'a' 0 9 |> SHAPE": encode_reply([10, 1, 24, 3]),
        "RANGE 'a' 0 9 |> TRIM 0 0.15 |> ENCODE 'audio/wav'": piece(b"abcdefghi"),
    }
    pipeline = r.pipeline().range("a", 0, 9).encode("audio/wav")
    with pytest.raises(RacsValueError, match="Let it end before now"):
        pipeline.execute(to=tmp_path / "long.wav")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "shape", [encode_reply([10, 1, 24, 2]), encode_error("there is no stream 'a'")]
)
def test_what_is_refused_for_another_reason_is_not_asked_for_again(
    server: FakeServer, r: Racs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: bytes
) -> None:
    monkeypatch.setattr("racs.long_wav.MOST", 6)
    whole = "RANGE 'a' 0 9 |> ENCODE 'audio/wav'"
    server.replies = {whole: encode_error("the disk is full"), "RANGE 'a' 0 9 |> SHAPE": shape}
    with pytest.raises(RacsException, match="the disk is full"):
        r.execute_command(whole, to=tmp_path / "long.wav")
