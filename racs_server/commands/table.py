"""The one command table: every command there is, in the order in which to read about them."""

from racs_server.commands import (
    admin,
    append,
    attach,
    encode,
    extract,
    lifetime,
    live,
    manual,
    measure,
    process,
    streams,
)
from racs_server.commands.spec import CommandTable

TABLE = CommandTable(
    (
        *streams.SPECS,
        *lifetime.SPECS,
        *append.SPECS,
        *extract.SPECS,
        *process.SPECS,
        *measure.SPECS,
        *encode.SPECS,
        *attach.SPECS,
        *live.SPECS,
        *admin.SPECS,
        *manual.SPECS,
    )
)
