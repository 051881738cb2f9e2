"""String ports, and what is written to no port: a program has no other output.

What is written without naming a port is kept by the machine's own port, for whoever runs it.
"""

from racs_server.scheme.meter import Meter
from racs_server.scheme.primitives.strings import made
from racs_server.scheme.primitives.table import procedure, text, wrong
from racs_server.scheme.printer import TooLongError, written
from racs_server.scheme.values import EOF, UNSPECIFIED, Char, Port, String, Value


def _output(port: Value) -> Port:
    if not isinstance(port, Port) or port.text is not None:
        raise wrong("an output port", port)
    return port


def _input(port: Value) -> Port:
    if not isinstance(port, Port) or port.text is None:
        raise wrong("an input port", port)
    return port


def put(meter: Meter, port: Value, value: Value, display: bool) -> Value:
    """Write a value to a port, within the budget of output."""
    target = _output(port)
    left = meter.budgets.output - target.size
    try:
        content = written(value, left, display)
    except TooLongError:
        meter.check_output(meter.budgets.output + 1)
        raise
    meter.charge(4 * len(content))
    meter.spend(len(content) >> 5)
    target.parts.append(content)
    target.size += len(content)
    return UNSPECIFIED


@procedure("open-output-string")
def _open_output(meter: Meter) -> Port:
    meter.charge(512)
    return Port(None)


@procedure("open-input-string")
def _open_input(meter: Meter, string: Value) -> Port:
    meter.charge(512)
    return Port(text(string))


@procedure("get-output-string")
def _get_output(meter: Meter, port: Value) -> String:
    target = _output(port)
    meter.charge(4 * target.size)
    content = "".join(target.parts)
    target.parts = [content]
    return made(meter, content)


@procedure("%write")
def _write(meter: Meter, value: Value, port: Value) -> Value:
    return put(meter, port, value, display=False)


@procedure("%display")
def _display(meter: Meter, value: Value, port: Value) -> Value:
    return put(meter, port, value, display=True)


@procedure("read-char")
def _read_char(port: Value) -> Value:
    char = _peek_char(port)
    port.position += 1
    return char


@procedure("peek-char")
def _peek_char(port: Value) -> Value:
    source = _input(port)
    content = source.text or ""
    return Char(content[source.position]) if source.position < len(content) else EOF


@procedure("read-line")
def _read_line(meter: Meter, port: Value) -> Value:
    source = _input(port)
    content = source.text or ""
    if source.position >= len(content):
        return EOF
    end = content.find("\n", source.position)
    line = content[source.position : end if end >= 0 else None]
    source.position += len(line) + 1
    return made(meter, line)


@procedure("read-string")
def _read_string(meter: Meter, k: Value, port: Value) -> Value:
    source = _input(port)
    content = source.text or ""
    if source.position >= len(content):
        return EOF
    if k.__class__ is not int or k < 0:
        raise wrong("a count", k)
    part = content[source.position : source.position + k]
    source.position += len(part)
    return made(meter, part)


@procedure("char-ready?")
def _char_ready(port: Value) -> bool:
    return _input(port) is port


@procedure("close-port", "close-input-port", "close-output-port")
def _close(port: Value) -> Value:
    if not isinstance(port, Port):
        raise wrong("a port", port)
    return UNSPECIFIED


@procedure("port?", "textual-port?")
def _is_port(value: Value) -> bool:
    return isinstance(value, Port)


@procedure("input-port?")
def _is_input(value: Value) -> bool:
    return isinstance(value, Port) and value.text is not None


@procedure("output-port?")
def _is_output(value: Value) -> bool:
    return isinstance(value, Port) and value.text is None
