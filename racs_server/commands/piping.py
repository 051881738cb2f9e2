"""What may be piped into a command: looked at when it is there, for EVAL can give anything."""

import numpy as np

from racs.wire import Vector
from racs_server.commands.spec import CommandSpec, Output, Value
from racs_server.errors import RequestError
from racs_server.values import AppendTo, AttachTo, AudioFormat, AudioPlan, EncodedPlan
from racs_server.values.building import sample_bounds
from racs_server.values.plans import Samples

_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a bool",
    int: "an int",
    float: "a float",
    str: "a string",
    list: "a list",
    EncodedPlan: "a file",
    AppendTo: "a stream to append to",
    AttachTo: "a place for a file",
}


def accepted(spec: CommandSpec, value: Value) -> Value:
    """Return what is piped into a command that takes something.

    Raises
    ------
    RequestError
        It cannot take that.
    """
    vector = value.type if isinstance(value, Vector) else ""
    if spec.input is Output.AUDIO:
        if isinstance(value, AudioPlan):
            return value
        if vector == "s32v":
            if spec.takes_samples:
                return value
            raise RequestError(
                f"{spec.name}: samples alone (s32v) have no sample rate, channels and bit depth:"
                " make audio of them first, in EVAL: (vector->audio samples rate channels depth)"
            )
        raise RequestError(f"{spec.name}: expected audio to work on, found {described(value)}")
    if isinstance(value, EncodedPlan) or vector == "u8v":
        return value
    raise RequestError(f"{spec.name}: expected a file (u8v), found {described(value)}")


def described(value: Value) -> str:
    """Return what kind of value this is, for people."""
    if isinstance(value, Vector):
        return f"a vector ({value.type})"
    return _NAMES.get(type(value), "audio")


def audio_of(samples: Vector, format_: AudioFormat, command: str) -> Samples:
    """Return audio that consists of the samples of an ``s32v`` vector.

    Raises
    ------
    RequestError
        They are no whole sample frames, or too large for the bit depth.
    """
    values = np.frombuffer(samples.data, "<i4")
    if len(values) % format_.channels:
        raise RequestError(
            f"{command}: {len(values)} samples are no whole sample frames of"
            f" {format_.channels} channels"
        )
    least, most = sample_bounds(format_.bit_depth)
    if len(values) and (values.min() < least or values.max() > most):
        worst = int(values.max() if values.max() > most else values.min())
        raise RequestError(
            f"{command}: a sample of {worst}, but {format_.bit_depth} bit hold {least} to {most}"
        )
    return Samples(bytes(samples.data), format_)
