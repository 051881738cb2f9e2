"""The frame header, singles and batches, checksums, compressed blocks."""

from collections.abc import Sequence

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from racs.wire import (
    MAX_BLOCK,
    Frame,
    WireError,
    encode_batch,
    encode_frame,
    encode_single,
    frame_header,
    gather_batch,
    gather_single,
    parse_audio,
    stream_hash,
)

from .feeding import SESSION

CHOPIN = 0x33E990305041DD45
CHOPIN_FRAME = bytes.fromhex(
    "727370"  # rsp
    "11111111111111111111111111111111"  # session
    "45dd41503090e933"  # stream hash
    "ad96bc9b"  # CRC-32C of the block
    "0400"  # block size
    "00"  # flags
    "0100ffff"  # one sample frame, 1 and -1
)


def crc32c_by_bits(data: bytes) -> int:
    """CRC-32C as RFC 3720, appendix B.4, defines it: slowly."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def parse(payload: bytes, *, inflated: int = 1 << 20, batch: int = 64 << 20) -> list[Frame]:
    return parse_audio(memoryview(payload), max_inflated=inflated, max_batch=batch)


def payload_of(message: bytes) -> bytes:
    assert int.from_bytes(message[:8], "little") == len(message) - 8
    return message[8:]


def batch_payload(*frames: bytes) -> bytes:
    return payload_of(encode_batch(frames))


def pcm_of(frames: Sequence[Frame]) -> list[bytes]:
    return [bytes(frame.pcm) for frame in frames]


def test_worked_example() -> None:
    checksum = crc32c_by_bits(bytes.fromhex("0100ffff"))
    assert CHOPIN_FRAME[27:31] == checksum.to_bytes(4, "little")
    assert encode_frame(CHOPIN, SESSION, bytes.fromhex("0100ffff")) == CHOPIN_FRAME
    [frame] = parse(CHOPIN_FRAME)
    assert (frame.stream_hash, frame.session) == (CHOPIN, SESSION)
    assert (bytes(frame.pcm), frame.checksum) == (bytes.fromhex("0100ffff"), checksum)


@pytest.mark.parametrize(
    ("stream_id", "hash_"),
    [
        ("chopin", CHOPIN),
        ("vocals", 0xCF41AE4B51C5B1D6),
        ("beethoven", 0x0711F4C0F14BC356),
        ("", 0),
    ],
)
def test_stream_hash_is_unsigned(stream_id: str, hash_: int) -> None:
    assert stream_hash(stream_id) == hash_
    [frame] = parse(encode_frame(hash_, SESSION, b"\1\0"))
    assert frame.stream_hash == hash_


def test_single_and_batch_bytes() -> None:
    assert encode_single(CHOPIN_FRAME) == b"\x26\0\0\0\0\0\0\0" + CHOPIN_FRAME
    bin8 = b"\xc4\x26" + CHOPIN_FRAME
    assert encode_batch([CHOPIN_FRAME] * 2) == b"\x54\0\0\0\0\0\0\0rsp\x92" + bin8 * 2


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 65_535, 65_536])
def test_gathered_batch_is_the_same_message(count: int) -> None:
    frames = [(frame_header(CHOPIN, SESSION, b""), b"")] * count
    assert b"".join(gather_batch(frames)) == encode_batch(header + b for header, b in frames)


@pytest.mark.parametrize("size", [0, 1, 221, 222, 65_501, 65_502, MAX_BLOCK])
def test_gathered_pieces_for_every_kind_of_bin(size: int) -> None:
    block = bytes(size)
    header = frame_header(CHOPIN, SESSION, block)
    assert b"".join(gather_batch([(header, block)])) == encode_batch([header + block])
    assert b"".join(gather_single(header, block)) == encode_single(header + block)
    assert pcm_of(parse(payload_of(b"".join(gather_batch([(header, block)]))))) == [block]


def test_block_longer_than_its_field() -> None:
    with pytest.raises(WireError, match="65536 bytes: a frame holds at most 65535"):
        encode_frame(CHOPIN, SESSION, bytes(65_536))


@pytest.mark.parametrize("marker", [*range(0x90, 0xA0), 0xDC, 0xDD, 0xC4, 0xFF])
def test_single_whose_session_starts_like_an_array(marker: int) -> None:
    session = bytes([marker]) + b"\0\0\0\0\0\xc4\x26rsp-rsp"[:15].ljust(15, b"\0")
    [frame] = parse(encode_frame(CHOPIN, session, b"\1\2"))
    assert (frame.session, bytes(frame.pcm)) == (session, b"\1\2")


def test_single_that_carries_a_batch_as_its_pcm() -> None:
    inner = batch_payload(CHOPIN_FRAME, CHOPIN_FRAME)
    assert pcm_of(parse(encode_frame(CHOPIN, SESSION, inner))) == [inner]


def test_batch_whose_frames_carry_batches() -> None:
    inner = batch_payload(CHOPIN_FRAME)
    frame = encode_frame(CHOPIN, SESSION, inner)
    assert pcm_of(parse(batch_payload(frame, CHOPIN_FRAME))) == [inner, b"\1\0\xff\xff"]


@pytest.mark.parametrize("array", [b"\x90", b"\xdc\0\0", b"\xdd\0\0\0\0"])
def test_empty_batch(array: bytes) -> None:
    assert parse(b"rsp" + array) == []


@pytest.mark.parametrize("head", [b"\x91", b"\xdc\0\1", b"\xdd\0\0\0\1"])
@pytest.mark.parametrize("bin_head", [b"\xc4\x26", b"\xc5\0\x26", b"\xc6\0\0\0\x26"])
def test_batch_in_every_encoding(head: bytes, bin_head: bytes) -> None:
    assert pcm_of(parse(b"rsp" + head + bin_head + CHOPIN_FRAME)) == [b"\1\0\xff\xff"]


MALFORMED = {
    "too short": b"rsp",
    "header cut": CHOPIN_FRAME[:33],
    "block cut": CHOPIN_FRAME[:-1],
    "block too long": CHOPIN_FRAME + b"\0",
    "bytes after a batch": batch_payload(CHOPIN_FRAME) + b"\0",
    "bytes after an empty batch": b"rsp\x90\0",
    "two arrays": b"rsp" + batch_payload(CHOPIN_FRAME)[3:] * 2,
    "batch cut": batch_payload(CHOPIN_FRAME)[:-1],
    "array of ints": b"rsp\x93\1\2\3" + bytes(40),
    "array in an array": b"rsp\x91" + batch_payload(CHOPIN_FRAME)[3:],
    "frame as text": b"rsp\x91\xd9\x26" + CHOPIN_FRAME,
    "batch with something that is no frame": batch_payload(CHOPIN_FRAME, b"rsp" + bytes(40)),
    "batch with a wrong magic": batch_payload(b"rsq" + CHOPIN_FRAME[3:]),
    "batch with a cut frame": batch_payload(CHOPIN_FRAME, CHOPIN_FRAME[:-1]),
    "batch with an empty bin": batch_payload(CHOPIN_FRAME, b""),
    "four billion elements announced": b"rsp\xdd\xff\xff\xff\xff" + bytes(100),
    "array head cut": b"rsp\xdd\0",
}


@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(payload: bytes) -> None:
    with pytest.raises(WireError, match=r"malformed audio message|a frame has a header of 34"):
        parse(payload)


def test_batch_of_too_many_frames_is_judged_before_it_is_unpacked() -> None:
    frame = encode_frame(CHOPIN, SESSION, b"")
    assert len(parse(batch_payload(*[frame] * 4096))) == 4096
    with pytest.raises(WireError, match=r"4097 frames; at most 4096 .* smaller batches"):
        parse(batch_payload(*[frame] * 4097))


def test_limit_on_frames_does_not_touch_singles() -> None:
    single = encode_frame(CHOPIN, b"\x93" + bytes(15), bytes(200))
    assert len(parse_audio(memoryview(single), max_inflated=0, max_batch=200, max_frames=1)) == 1


@pytest.mark.parametrize("at", [27, 30, 34, 37])
def test_damage_is_found_by_the_checksum(at: int) -> None:
    damaged = bytearray(CHOPIN_FRAME)
    damaged[at] ^= 0x40
    with pytest.raises(WireError, match=r"frame 0 of 1: the block's checksum is 0x.*send it again"):
        parse(bytes(damaged))
    with pytest.raises(WireError, match="frame 1 of 3: the block's checksum"):
        parse(batch_payload(CHOPIN_FRAME, bytes(damaged), CHOPIN_FRAME))


@pytest.mark.parametrize("flags", [0x02, 0x80, 0xFE])
def test_unknown_flags(flags: int) -> None:
    frame = bytearray(CHOPIN_FRAME)
    frame[33] = flags
    with pytest.raises(WireError, match="unknown flags 0x"):
        parse(bytes(frame))


def compressed(block: bytes) -> bytes:
    return encode_frame(CHOPIN, SESSION, block, compressed=True)


def zstd(data: bytes, *, sized: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=sized).compress(data)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("size", [1, 1000, 1 << 16])
def test_compressed_block(size: int, *, sized: bool) -> None:
    data = b"\1" * size
    frame = compressed(zstd(data, sized=sized))
    assert frame[33] == 1
    [one] = parse(frame, inflated=size)
    assert (bytes(one.pcm), one.checksum) == (data, None)
    assert pcm_of(parse(batch_payload(frame, CHOPIN_FRAME, frame), inflated=size)) == [
        data,
        b"\1\0\xff\xff",
        data,
    ]
    with pytest.raises(WireError, match=f"at most {size - 1}"):
        parse(frame, inflated=size - 1)


@pytest.mark.parametrize("sized", [True, False])
def test_bomb(*, sized: bool) -> None:
    bomb = zstd(bytes(256 << 20), sized=sized)
    assert len(bomb) < MAX_BLOCK
    with pytest.raises(WireError, match="at most 1048576"):
        parse(compressed(bomb))


def test_claims_that_are_not_true() -> None:
    honest = bytearray(zstd(b"a" * 200))
    claim = honest.index(200)
    honest[claim] = 100
    with pytest.raises(WireError, match="not one zstd frame"):
        parse(compressed(bytes(honest)))
    honest[claim] = 255
    with pytest.raises(WireError, match="not one zstd frame"):
        parse(compressed(bytes(honest)))


BAD_ZSTD = {
    "nothing": b"",
    "magic only": b"\x28\xb5\x2f\xfd",
    "no zstd": b"RIFF" + bytes(40),
    "cut": zstd(b"abc" * 100)[:-1],
    "bytes after": zstd(b"abc" * 100) + b"\0",
    "two frames": zstd(b"abc" * 100) * 2,
}


@pytest.mark.parametrize("block", BAD_ZSTD.values(), ids=BAD_ZSTD.keys())
def test_bad_zstd(block: bytes) -> None:
    with pytest.raises(WireError, match="not one zstd frame"):
        parse(compressed(block))


def test_batch_that_grows_beyond_its_limit() -> None:
    frame = compressed(zstd(bytes(1000)))
    assert len(parse(batch_payload(*[frame] * 3), batch=3000)) == 3
    with pytest.raises(WireError, match="more than 2999 bytes of PCM"):
        parse(batch_payload(*[frame] * 3), batch=2999)


def test_frames_are_views_where_they_can_be() -> None:
    buffer = bytearray(batch_payload(CHOPIN_FRAME, CHOPIN_FRAME))
    frames = parse_audio(memoryview(buffer), max_inflated=0, max_batch=100)
    buffer[-4:] = b"\7\7\7\7"
    assert pcm_of(frames) == [b"\1\0\xff\xff", b"\7\7\7\7"]


blocks = st.binary(max_size=300)
sessions = st.binary(min_size=16, max_size=16)
hashes = st.integers(0, 2**64 - 1)


@given(hashes, sessions, st.lists(st.tuples(blocks, st.booleans()), max_size=20))
def test_what_is_encoded_comes_back(
    hash_: int, session: bytes, parts: list[tuple[bytes, bool]]
) -> None:
    frames = [
        encode_frame(hash_, session, zstd(block) if small else block, compressed=small)
        for block, small in parts
    ]
    found = parse(batch_payload(*frames))
    assert pcm_of(found) == [block for block, _ in parts]
    assert all((f.stream_hash, f.session) == (hash_, session) for f in found)
    for frame, (block, _) in zip(frames, parts, strict=True):
        assert pcm_of(parse(frame)) == [block]


def frames_or_error(payload: bytes) -> list[Frame] | None:
    try:
        return parse(payload, inflated=1000, batch=2000)
    except WireError:
        return None


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_a_wire_error(data: bytes) -> None:
    frames_or_error(b"rsp" + data)


def nearly_msgpack() -> st.SearchStrategy[bytes]:
    element = st.one_of(
        st.binary(max_size=80),
        blocks.map(lambda block: encode_frame(CHOPIN, SESSION, block)),
        blocks.map(lambda block: compressed(block)),
        st.integers(),
        st.text(max_size=40),
    ).filter(lambda e: not isinstance(e, int) or -(2**63) <= e < 2**64)
    return st.lists(element, max_size=20).map(msgspec.msgpack.encode)


@given(nearly_msgpack(), st.binary(max_size=3), st.integers(0, 400), st.integers(0, 255))
def test_spoiled_batches_are_frames_or_a_wire_error(
    array: bytes, tail: bytes, at: int, value: int
) -> None:
    spoiled = bytearray(b"rsp" + array + tail)
    if at < len(spoiled):
        spoiled[at] = value
    frames_or_error(bytes(spoiled))


@given(st.binary(max_size=100), st.integers(0, 200), st.integers(0, 255))
def test_spoiled_compressed_blocks_are_a_frame_or_a_wire_error(
    data: bytes, at: int, value: int
) -> None:
    block = bytearray(zstd(data))
    block[at % len(block)] = value
    found = frames_or_error(compressed(bytes(block)))
    assert found is None or len(found[0].pcm) <= 1000
