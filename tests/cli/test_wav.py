"""WAV headers, pinned with bytes written by hand."""

import io

import pytest

from racs.cli.wav import NotWavError, WavFormat, read_wav_header, wav_header

MONO = bytes.fromhex(
    "52494646 28000000 57415645 666d7420 10000000 0100 0100"
    "401f0000 803e0000 0200 1000 64617461 04000000"
)
ENDLESS = bytes.fromhex(
    "52494646 ffffffff 57415645 666d7420 10000000 0100 0200"
    "44ac0000 98090400 0600 1800 64617461 ffffffff"
)
EXTENSIBLE = bytes.fromhex(
    "52494646 00000000 57415645 4a554e4b 03000000 61626300"
    "666d7420 28000000 feff 0600 80bb0000 00000000 1200 1800 1600 1800 3f000000"
    "0100 0000 0000 1000 8000 00aa00389b71 64617461 12000000"
)


def test_the_header_before_pcm() -> None:
    assert wav_header(8000, 1, 16, 4) == MONO
    assert wav_header(44100, 2, 24) == ENDLESS
    assert wav_header(44100, 2, 24, 1 << 33) == ENDLESS


@pytest.mark.parametrize(
    ("head", "format_"),
    [
        (MONO, WavFormat(8000, 1, 16, 4)),
        (ENDLESS, WavFormat(44100, 2, 24, None)),
        (EXTENSIBLE, WavFormat(48000, 6, 24, 18)),
        (MONO[:40] + bytes(4), WavFormat(8000, 1, 16, None)),
    ],
)
def test_what_comes_in_is_read_up_to_its_audio(head: bytes, format_: WavFormat) -> None:
    file = io.BytesIO(head + b"pcm")
    assert read_wav_header(file) == format_
    assert file.read() == b"pcm"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", "ended before the audio"),
        (MONO[:30], "ended before the audio"),
        (b"fLaC" + bytes(60), "does not begin as a WAV file does"),
        (MONO[:12] + MONO[36:], "no 'fmt ' chunk"),
        (MONO[:20] + b"\x03\0" + MONO[22:], "16-bit float samples"),
        (MONO[:34] + b"\x08\0" + MONO[36:], "8-bit PCM samples"),
        (MONO[:36] + b"junk\xff\xff\xff\x7f", "a chunk b'junk' of 2147483647 bytes"),
    ],
)
def test_what_cannot_be_recorded_is_told(head: bytes, message: str) -> None:
    with pytest.raises(NotWavError, match=message):
        read_wav_header(io.BytesIO(head))
