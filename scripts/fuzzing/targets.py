"""What is fuzzed: functions from bytes to nothing that fail when a promise is broken.

Each takes any bytes. Checksums and lengths would keep out nearly all that a fuzzer thinks of, so
the first byte says which of them are put right before the rest is looked at.
"""

from collections.abc import Callable, Iterator
from typing import Any

from crc32c import crc32c

from racs.wire import (
    ClientConnection,
    FramingLost,
    Limits,
    ServerConnection,
    Vector,
    WireError,
    decode_reply,
)
from racs.wire.frames import HEADER, HEADER_SIZE
from racs.wire.replies import ReplyError
from racs_server.commands import TABLE
from racs_server.commands.check import check
from racs_server.errors import CommandError, DataError, StreamError
from racs_server.glob import compile_glob
from racs_server.lang import parse
from racs_server.riff import SEGMENT_HEADER
from racs_server.scheme import Budgets, Interpreter, Meter, SchemeError
from racs_server.scheme.errors import Source
from racs_server.scheme.printer import TooLongError, written
from racs_server.scheme.reader import read
from racs_server.scheme.values import Vector as Items
from racs_server.storage import attachments, log, records
from racs_server.storage.checksums import BLOCK, Checksums
from racs_server.storage.segment import DamagedBlock, Segment
from racs_server.storage.stream import read_manifest
from racs_server.values import AudioFormat
from scripts.fuzzing import programs
from tests.storage.simulated import SimulatedDisk

_LIMITS = Limits(command=256, evaluation=512, message=4096, inflated=4096, batch=4096, frames=32)
_MOST_BUFFER = 1 << 20
_PIECES = 32
"""Into how many a longer stream is cut: more take time, and say no more."""


# --------------------------------------------------------------------------------- the wire


def wire(data: bytes) -> None:
    """Read messages from a client: the same events however they are cut, or the same refusal."""
    if not data:
        return
    mode, stream = data[0], _messages(data[0], data[1:])
    whole = _events(stream, len(stream) or 1)
    assert whole == _events(stream, max(1 + mode % 7, len(stream) // _PIECES))


def _messages(mode: int, data: bytes) -> bytes:
    """Return a stream of messages with right lengths, and right frames, as the mode asks for."""
    if not mode & 1:
        return data
    out = bytearray()
    while data:
        size = int.from_bytes(data[:2], "little") % 1024
        body, data = bytearray(data[2 : 2 + size]), data[2 + size :]
        if mode & 2 and len(body) >= HEADER_SIZE:
            session, hash_, flags = bytes(body[3:19]), bytes(body[19:27]), body[33]
            block = body[HEADER_SIZE:]
            number = int.from_bytes(hash_, "little")
            head = HEADER.pack(b"rsp", session, number, crc32c(block), len(block), flags)
            body[:HEADER_SIZE] = head
        elif mode & 4:
            body[:0] = b"rsp"
        out += len(body).to_bytes(8, "little") + body
    return bytes(out)


def _events(stream: bytes, step: int) -> list[str]:
    connection = ServerConnection(_LIMITS)
    seen = []
    at = 0
    while at < len(stream):
        buffer = connection.get_buffer()
        assert len(buffer) <= _MOST_BUFFER
        count = min(len(buffer), len(stream) - at, step)
        buffer[:count] = stream[at : at + count]
        at += count
        connection.received(count)
        try:
            while (event := connection.next_event()) is not None:
                seen.append(_shown(event))
        except FramingLost as error:
            return [*seen, str(error)]
    return seen


def _shown(event: Any) -> str:
    frames = getattr(event, "frames", None)
    if frames is None:
        return repr(event)
    return repr([(f.stream_hash, f.session, bytes(f.pcm), f.checksum) for f in frames])


def replies(data: bytes) -> None:
    """Read replies to a client: a value, or an error of the protocol, however they are cut."""
    outcomes = []
    for step in (len(data) or 1, 3):
        connection = ClientConnection()
        seen = []
        at = 0
        try:
            while at < len(data):
                buffer = connection.get_buffer()
                count = min(len(buffer), len(data) - at, step)
                buffer[:count] = data[at : at + count]
                at += count
                connection.received(count)
                while (event := connection.next_event()) is not None:
                    seen.append(_decoded(event.payload))
        except FramingLost as error:
            seen.append(str(error))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


def _decoded(payload: memoryview) -> str:
    try:
        value = decode_reply(payload)
    except (WireError, ReplyError) as error:
        return str(error)
    return repr(bytes(value.data) if isinstance(value, Vector) else value)


# ------------------------------------------------------------------------ the command language


def commands(data: bytes) -> None:
    """Check command texts: steps to do, or an error; space around them does not matter."""
    text = data.decode("utf-8", "replace")
    outcome = _outcome(text)
    if len(text) % 4 == 0:
        assert (outcome is None) == (_outcome(f"\n {text}\t") is None)
    pattern, _, name = text.partition("\0")
    assert bool(compile_glob(pattern)(name[:64])) == _matches(pattern, name[:64])


def _outcome(text: str) -> str | None:
    try:
        check(parse(text), text, TABLE)
    except CommandError as error:
        message = str(error)
        assert 0 < len(message) < 4000, message
        return message
    return None


def _matches(pattern: str, name: str) -> bool:
    """Match by the plainest method there is: all places in the pattern where one can be."""
    tokens = list(_tokens(pattern))
    places = _closure({0}, tokens)
    for character in name:
        after = {
            place if tokens[place] is None else place + 1
            for place in places
            if place < len(tokens) and ((token := tokens[place]) is None or token(character))
        }
        places = _closure(after, tokens)
    return len(tokens) in places


def _closure(places: set[int], tokens: list[Any]) -> set[int]:
    found = set(places)
    for place in sorted(places):
        at = place
        while at < len(tokens) and tokens[at] is None:
            at += 1
            found.add(at)
    return found


def _tokens(pattern: str) -> Iterator[Callable[[str], bool] | None]:
    """Yield what stands for one character each; None stands for any number of any."""
    at = 0
    while at < len(pattern):
        here = pattern[at]
        end = pattern.find("]", at + (3 if pattern[at + 1 : at + 2] == "!" else 2))
        if here == "*":
            yield None
        elif here == "?":
            yield lambda _: True
        elif here == "[" and end > 0:
            yield _set(pattern[at + 1 : end])
            at = end
        else:
            yield here.__eq__
        at += 1


def _set(body: str) -> Callable[[str], bool]:
    negated = body.startswith("!")
    members = body[negated:]
    ranges = []
    at = 0
    while at < len(members):
        low = high = members[at]
        at += 1
        if members[at : at + 1] == "-" and at + 1 < len(members):
            high = members[at + 1]
            at += 2
        ranges.append((low, high))
    return lambda character: negated != any(low <= character <= high for low, high in ranges)


# --------------------------------------------------------------------------- the archive's files


def segment(data: bytes) -> None:
    """Read files beside and in a segment: read back as they were, or found to be damaged."""
    if len(data) < 4:
        return
    mode, body = data[0], data[1:]
    if mode & 1:
        body += crc32c(body).to_bytes(4, "little")
    try:
        loaded = Checksums.load(body)
    except ValueError:
        pass
    else:
        assert loaded.dump() == body
    _flip(mode, data)
    _manifest(mode, data[1:])
    _attachment(body)


def _disk(name: str, contents: bytes) -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.make_folder(name.rpartition("/")[0])
    disk.put(name, contents)
    return disk


def _flip(mode: int, data: bytes) -> None:
    """Change a byte of a segment's PCM: it is noticed, or lies in no block that is read."""
    format_ = AudioFormat(8000, 1 + mode % 3, 16 if mode & 8 else 24)
    repeat = (BLOCK // len(data) + 1) if mode & 0x70 == 0x70 else 1
    pcm = data * repeat
    pcm = pcm[: len(pcm) // format_.frame_bytes * format_.frame_bytes]
    if not pcm:
        return
    sums = Checksums()
    sums.extend(pcm)
    at = int.from_bytes(data[1:4], "little") % len(pcm)
    spoilt = bytearray(pcm)
    spoilt[at] ^= data[1] or 1
    part = Segment("s", 0, format_, len(pcm))
    part.file = _disk(part.name, bytes(SEGMENT_HEADER) + bytes(spoilt)).open(part.name)
    frames = len(pcm) // format_.frame_bytes
    start = data[2] % frames * format_.frame_bytes
    stop = len(pcm)
    checks = sums.snapshot(start // BLOCK, -(-stop // BLOCK))
    touched = start // BLOCK <= at // BLOCK
    try:
        got = b"".join(map(bytes, part.blocks(start, stop, checks, len(pcm))))
    except DamagedBlock as found:
        damage: DamagedBlock | None = found
    else:
        damage = None
        assert got == pcm[start:stop]
    assert touched == (damage is not None)
    assert damage is None or damage.start <= at // format_.frame_bytes < damage.stop


def _manifest(mode: int, body: bytes) -> None:
    if mode & 1:
        fields = b'{"version": 1, ' + body
        text = fields[:-1] if fields.endswith(b"}") else fields
        check = crc32c(text + b"\n}")
        body = text + f',\n "crc32c": "{check:08x}"\n}}\n'.encode()
    try:
        stream = read_manifest(_disk("s/stream.json", body), "s")
    except (ValueError, OSError):
        return
    again = read_manifest(_disk("s/stream.json", stream.manifest()), "s")
    assert again.info() == stream.info()


def _attachment(body: bytes) -> None:
    name = attachments.file_name("s", "a")
    folder = _disk(name, body)
    try:
        contents = attachments.read(folder, "s", "a")
    except (ValueError, OSError, StreamError, DataError):
        return
    assert attachments.head_of("a", contents) + contents == body


def commit_log(data: bytes) -> None:
    """Read log files: every record that is read checks, and can be written again."""
    if not data:
        return
    contents = _log_file(data[1:]) if data[0] & 1 else data[1:]
    reader = log.LogReader(_disk("log/0000000000000001.log", contents))
    found = list(reader)
    assert reader.dropped_bytes <= len(contents)
    assert (reader.torn is None) <= (reader.dropped_bytes == 0)
    if found:
        again = b"".join(_written(record) for record in found)
        assert list(log.LogReader(_disk("log/0000000000000001.log", _head() + again))) == found


def _head() -> bytes:
    head = log.MAGIC + (1).to_bytes(8, "little") + bytes(12)
    return head + crc32c(head).to_bytes(4, "little")


def _log_file(data: bytes) -> bytes:
    """Return a file whose header and records check, with these bytes as types and payloads."""
    out = bytearray(_head())
    while len(data) > 2:
        type_, size = data[0] % 9, data[1]
        payload, data = data[2 : 2 + size], data[2 + size :]
        out += _record(type_, payload) if payload else b""
    return bytes(out + data)


def _record(type_: int, payload: bytes) -> bytes:
    seed = crc32c((1).to_bytes(8, "little") + bytes([type_]))
    return records.RECORD.pack(len(payload), crc32c(payload, seed), type_) + payload


def _written(record: records.Record) -> bytes:
    match record:
        case records.Created():
            return _record(records.CREATE, records.create_payload(record))
        case records.Appended(serial, time, position, count, checksum, session, pcm):
            head = records.append_payload(serial, time, position, count, checksum, session)
            if pcm is None:
                return _record(records.APPEND, head)
            return _record(records.APPEND_PCM, head + pcm)
        case records.Closed(serial, time, position):
            return _record(records.CLOSE, records.close_payload(serial, time, position))
        case records.Expires(serial, time, seconds):
            return _record(records.EXPIRE, records.expire_payload(serial, time, seconds))
        case records.Deleted(serial, time):
            return _record(records.DELETE, records.open_payload(serial, time))
        case records.Opened(serial, time):
            return _record(records.OPEN, records.open_payload(serial, time))


# --------------------------------------------------------------------------------------- Scheme

_BUDGETS = Budgets(
    steps=300, seconds=2.0, memory=1 << 20, integer=512, output=4096, nesting=60, source=4096
)
_MOST_WRITTEN = 1 << 16
_interpreter: Interpreter | None = None


def scheme_read(data: bytes) -> None:
    """Read data: what is written of them is read as the same data again."""
    try:
        found = read(Source(data.decode("utf-8", "replace")), Meter(_BUDGETS), program=False)
        text = written(Items(datum.value for datum in found), _MOST_WRITTEN)
    except (SchemeError, TooLongError):
        return
    (again,) = read(Source(text), program=False)
    assert written(again.value) == text


def scheme_run(data: bytes) -> None:
    """Run programs: a value that can be printed, or an error of the program's own."""
    global _interpreter
    if _interpreter is None:
        _interpreter = Interpreter(_BUDGETS)
        _interpreter.layer()
    try:
        if data[:1] < b"\x80":
            value = _interpreter.evaluate_data(programs.generate(data[1:]))
        else:
            value = _interpreter.evaluate(data[1:].decode("utf-8", "replace"))
        _interpreter.print(value)
    except SchemeError:
        return
    finally:
        _interpreter.forget()
        _interpreter.take_output()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "wire": wire,
    "replies": replies,
    "commands": commands,
    "segment": segment,
    "log": commit_log,
    "scheme-read": scheme_read,
    "scheme-run": scheme_run,
}
"""All targets, by the names of their folders of seeds."""
