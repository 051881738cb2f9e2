"""The one command table: every command there is, in the order in which to read about them."""

from racs_server.commands import (
    admin,
    append,
    attach,
    auth,
    encode,
    evaluate,
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
        *evaluate.SPECS,
        *attach.SPECS,
        *live.SPECS,
        *auth.SPECS,
        *admin.SPECS,
        *manual.SPECS,
    )
)
