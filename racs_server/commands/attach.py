"""The commands about files that belong to a stream: ATTACH, ATTACHMENT, ATTACHMENTS."""

from racs.wire import Vector
from racs_server.commands.context import Context
from racs_server.commands.encoding import encoded_bytes
from racs_server.commands.spec import CommandSpec, Effect, Kind, Mode, Output, Overload, Param
from racs_server.commands.streams import STREAM_ID
from racs_server.values import AttachTo, EncodedPlan

MOST_BYTES = 100 << 20
"""What a file that is kept with a stream may have."""

_NAME = Param("name", Kind.STRING, "The file's name: 1 to 255 bytes of text.")


def attach(context: Context, stream_id: str, name: str) -> AttachTo:
    """Carry out ATTACH: the connection's next message is the file."""
    context.store.check_attachment(stream_id, name)
    return AttachTo(stream_id, name)


def attach_piped(context: Context, piped: EncodedPlan | Vector, stream_id: str, name: str) -> None:
    """Carry out ATTACH with a piped file."""
    context.store.check_attachment(stream_id, name)
    if isinstance(piped, Vector):
        context.store.attach(stream_id, name, piped.data)
        return

    def check(size: int) -> None:
        context.store.check_attachment(stream_id, name, size)

    contents = encoded_bytes(context, piped, check)
    context.store.attach(stream_id, name, contents)


def attachment(context: Context, stream_id: str, name: str) -> Vector:
    """Carry out ATTACHMENT."""
    return Vector("u8v", context.store.attachment(stream_id, name))


def attachments(context: Context, stream_id: str) -> list[str]:
    """Carry out ATTACHMENTS."""
    return context.store.attachments(stream_id)


_PIPED = CommandSpec(
    name="ATTACH",
    doc="Keep the piped file with a stream.",
    example="RANGE 'chopin' 0 30 |> ENCODE 'audio/flac' |> ATTACH 'chopin' 'preview.flac'",
    overloads=(Overload((STREAM_ID, _NAME), attach_piped),),
    input=Output.BYTES,
    output=Output.NULL,
    effect=Effect.WRITE,
    blocks=True,
    weight=MOST_BYTES,
)

SPECS = (
    CommandSpec(
        name="ATTACH",
        doc="Keep a file of at most 100 MiB with a stream, in the place of one of the same name."
        " With nothing piped, the file is the next message, sent when the reply has come; a second"
        " reply says that it is on the disk.",
        example="ATTACH 'chopin' 'original.mp3'",
        overloads=(Overload((STREAM_ID, _NAME), attach),),
        output=Output.NULL,
        effect=Effect.WRITE,
        mode=Mode.ATTACH,
        when_piped=_PIPED,
    ),
    CommandSpec(
        name="ATTACHMENT",
        doc="Give a file that is kept with a stream.",
        example="ATTACHMENT 'chopin' 'original.mp3'",
        overloads=(Overload((STREAM_ID, _NAME), attachment),),
        output=Output.BYTES,
        effect=Effect.READ,
        blocks=True,
        weight=2 * MOST_BYTES,  # as it lies on the disk, and as it was
    ),
    CommandSpec(
        name="ATTACHMENTS",
        doc="List the names of the files that are kept with a stream, sorted by code point.",
        example="ATTACHMENTS 'chopin'",
        overloads=(Overload((STREAM_ID,), attachments),),
        output=Output.LIST,
        effect=Effect.READ,
        blocks=True,
    ),
)
