"""Ports in memory, of characters or of bytes: a program has no files, and no other input or output.

What is written without naming a port is kept by the machine's own port, for whoever runs it.
"""

from typing import TypeVar

import numpy as np

from racs_server.scheme.errors import FileError, ReadError
from racs_server.scheme.meter import OBJECT_BYTES, Meter
from racs_server.scheme.primitives.strings import made
from racs_server.scheme.primitives.table import count, procedure, span, text, wrong
from racs_server.scheme.printer import TooLongError, written
from racs_server.scheme.reader import read_first
from racs_server.scheme.values import EOF, UNSPECIFIED, Char, Port, String, Uniform, Value

_PORT_BYTES = 512
_T = TypeVar("_T", str, bytes)


def _port(port: Value) -> Port:
    if not isinstance(port, Port):
        raise wrong("a port", port)
    return port


def _open(port: Value, kind: type[str] | type[bytes], source: bool) -> Port:
    """Return a port of a kind, which must be open."""
    of = "characters" if kind is str else "bytes"
    way = "input" if source else "output"
    if not isinstance(port, Port) or port.kind is not kind or (port.source is not None) != source:
        raise wrong(f"an {way} port of {of}", port)
    if not port.open:
        raise wrong("a port that is open", port)
    return port


def _bytes(value: Value) -> Uniform:
    if not isinstance(value, Uniform) or value.tag != "u8":
        raise wrong("a bytevector", value)
    return value


# -- ports


@procedure("open-input-string")
def _open_input_string(meter: Meter, string: Value) -> Port:
    meter.charge(_PORT_BYTES)
    return Port(str, text(string))


@procedure("open-output-string")
def _open_output_string(meter: Meter) -> Port:
    meter.charge(_PORT_BYTES)
    return Port(str, None)


@procedure("open-input-bytevector")
def _open_input_bytevector(meter: Meter, bytevector: Value) -> Port:
    meter.charge(_PORT_BYTES + _bytes(bytevector).nbytes)
    return Port(bytes, bytevector.array.tobytes())


@procedure("open-output-bytevector")
def _open_output_bytevector(meter: Meter) -> Port:
    meter.charge(_PORT_BYTES)
    return Port(bytes, None)


@procedure("close-port", "close-input-port", "close-output-port")
def _close(port: Value) -> Value:
    _port(port).open = False
    return UNSPECIFIED


@procedure("port?")
def _is_port(value: Value) -> bool:
    return isinstance(value, Port)


@procedure("textual-port?")
def _is_textual(value: Value) -> bool:
    return isinstance(value, Port) and value.kind is str


@procedure("binary-port?")
def _is_binary(value: Value) -> bool:
    return isinstance(value, Port) and value.kind is bytes


@procedure("input-port?")
def _is_input(value: Value) -> bool:
    return isinstance(value, Port) and value.source is not None


@procedure("output-port?")
def _is_output(value: Value) -> bool:
    return isinstance(value, Port) and value.source is None


@procedure("input-port-open?")
def _is_input_open(port: Value) -> bool:
    return _is_input(_port(port)) and port.open


@procedure("output-port-open?")
def _is_output_open(port: Value) -> bool:
    return _is_output(_port(port)) and port.open


@procedure(
    "open-input-file", "open-output-file", "open-binary-input-file", "open-binary-output-file",
    "call-with-input-file", "call-with-output-file", "with-input-from-file",
    "with-output-to-file", "delete-file", "load",
)  # fmt: skip
def _no_files(*_arguments: Value) -> Value:
    raise FileError("there are no files here; use open-input-string or open-output-string")


@procedure("file-exists?")
def _file_exists(name: Value) -> bool:
    text(name)
    return False


# -- output


def put(meter: Meter, port: Value, value: Value, display: bool, shared: bool = False) -> Value:
    """Write a value to a port, within the budget of output."""
    target = _open(port, str, source=False)
    try:
        content = written(value, meter.budgets.output - target.size, display, shared)
    except TooLongError:
        meter.check_output(meter.budgets.output + 1)
        raise
    return _add(meter, target, content)


def _add(meter: Meter, target: Port, content: str | bytes) -> Value:
    meter.check_output(target.size + len(content))
    meter.charge(4 * len(content))
    meter.spend(len(content) >> 5)
    target.parts.append(content)
    target.size += len(content)
    return UNSPECIFIED


@procedure("%write")
def _write(meter: Meter, port: Value, value: Value) -> Value:
    return put(meter, port, value, display=False)


@procedure("%write-shared")
def _write_shared(meter: Meter, port: Value, value: Value) -> Value:
    return put(meter, port, value, display=False, shared=True)


@procedure("%display")
def _display(meter: Meter, port: Value, value: Value) -> Value:
    return put(meter, port, value, display=True)


@procedure("%write-string")
def _write_string(
    meter: Meter, port: Value, string: Value, start: Value = None, end: Value = None
) -> Value:
    first, last = span(len(text(string)), start, end)
    return _add(meter, _open(port, str, source=False), string.text[first:last])


@procedure("%write-u8")
def _write_u8(meter: Meter, port: Value, byte: Value) -> Value:
    if byte.__class__ is not int or not 0 <= byte <= 255:
        raise wrong("an integer from 0 to 255", byte)
    return _add(meter, _open(port, bytes, source=False), bytes([byte]))


@procedure("%write-bytevector")
def _write_bytevector(
    meter: Meter, port: Value, bytevector: Value, start: Value = None, end: Value = None
) -> Value:
    array = _bytes(bytevector).array
    first, last = span(len(array), start, end)
    return _add(meter, _open(port, bytes, source=False), array[first:last].tobytes())


@procedure("get-output-string")
def _get_output_string(meter: Meter, port: Value) -> String:
    if not isinstance(port, Port) or port.kind is not str or port.source is not None:
        raise wrong("an output port of characters", port)
    meter.charge(4 * port.size)
    content = "".join(port.parts)
    port.parts = [content]
    return made(meter, content)


@procedure("get-output-bytevector")
def _get_output_bytevector(meter: Meter, port: Value) -> Uniform:
    if not isinstance(port, Port) or port.kind is not bytes or port.source is not None:
        raise wrong("an output port of bytes", port)
    meter.charge(OBJECT_BYTES + 2 * port.size)
    content = b"".join(port.parts)
    port.parts = [content]
    return Uniform("u8", np.frombuffer(content, np.uint8).copy())


# -- input


def _take(port: Value, kind: type[_T], length: int) -> _T:
    """Return what comes next, at most so much of it."""
    source = _open(port, kind, source=True)
    part: _T = source.source[source.position : source.position + length]
    source.position += len(part)
    return part


def _peek(port: Value, kind: type[str] | type[bytes]) -> Value:
    source = _open(port, kind, source=True)
    return source.source[source.position] if source.position < len(source.source) else None


@procedure("%read")
def _read(meter: Meter, port: Value) -> Value:
    source = _open(port, str, source=True)
    try:
        datum, source.position = read_first(source.source, source.position, meter)
    except ReadError as error:
        raise ReadError(error.problem) from None
    return EOF if datum is None else datum.value


@procedure("%read-char")
def _read_char(port: Value) -> Value:
    char = _take(port, str, 1)
    return Char(char) if char else EOF


@procedure("%peek-char")
def _peek_char(port: Value) -> Value:
    char = _peek(port, str)
    return EOF if char is None else Char(char)


@procedure("%read-line")
def _read_line(meter: Meter, port: Value) -> Value:
    source = _open(port, str, source=True)
    if _peek(port, str) is None:
        return EOF
    end = source.source.find("\n", source.position)
    line = source.source[source.position : end if end >= 0 else None]
    source.position += len(line) + 1
    return made(meter, line)


@procedure("%read-string")
def _read_string(meter: Meter, port: Value, k: Value) -> Value:
    part = _take(port, str, count(k))
    return made(meter, part) if part or k == 0 else EOF


@procedure("%read-u8")
def _read_u8(port: Value) -> Value:
    part = _take(port, bytes, 1)
    return part[0] if part else EOF


@procedure("%peek-u8")
def _peek_u8(port: Value) -> Value:
    byte = _peek(port, bytes)
    return EOF if byte is None else byte


@procedure("%read-bytevector")
def _read_bytevector(meter: Meter, port: Value, k: Value) -> Value:
    part = _take(port, bytes, count(k))
    meter.charge(OBJECT_BYTES + len(part))
    return Uniform("u8", np.frombuffer(part, np.uint8).copy()) if part or k == 0 else EOF


@procedure("%read-bytevector!")
def _read_bytevector_into(
    port: Value, bytevector: Value, start: Value = None, end: Value = None
) -> Value:
    array = _bytes(bytevector).array
    first, last = span(len(array), start, end)
    part = _take(port, bytes, last - first)
    array[first : first + len(part)] = np.frombuffer(part, np.uint8)
    return len(part) if part or first == last else EOF


@procedure("%char-ready?")
def _is_char_ready(port: Value) -> bool:
    return _open(port, str, source=True) is port


@procedure("%u8-ready?")
def _is_u8_ready(port: Value) -> bool:
    return _open(port, bytes, source=True) is port
