"""The one command table: every command there is, in the order in which to read about them."""

from racs_server.commands import admin, extract, streams
from racs_server.commands.spec import CommandTable

TABLE = CommandTable((*streams.SPECS, *extract.SPECS, *admin.SPECS))
