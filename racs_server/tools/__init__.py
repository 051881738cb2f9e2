"""What an operator does with an archive: the subcommands of ``racs-server``, one row each.

A subcommand returns its exit status. It says with `takes_settings` which of the server's settings
it takes as options, and is given all of them, put together as the server's are.
"""

import click

from racs_server.tools.care import backup, repair, restore, verify
from racs_server.tools.users import token, user

COMMANDS: tuple[click.Command, ...] = (verify, repair, backup, restore, user, token)
