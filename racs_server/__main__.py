"""The command ``racs-server``, also ``python -m racs_server``."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import trio

from racs_server.app import run
from racs_server.config import FIELDS, Settings
from racs_server.errors import StartError, StorageError
from racs_server.logs import start_logging
from racs_server.tools import COMMANDS
from racs_server.tools.options import Given, setting_options


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every setting can also come from a variable (RACS_PORT=6381) or from the TOML file"
    " (port = 6381); the command line goes before the variable, the variable before the file.",
)
@setting_options(*FIELDS)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="RACS_CONFIG",
    help="Read settings from this TOML file.",
)
@click.version_option(version("racs-store"), prog_name="racs-server")
@click.pass_context
def cli(context: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Archive audio streams, and give any moment of them back.

    Listens for RACS clients, stores the PCM that they stream as ordinary WAV files in the data
    folder, and sends back any range of it, exact to the sample frame.

    Ends in order on SIGINT (Ctrl-C) and SIGTERM.
    """
    context.obj = Given(flags, config)
    if context.invoked_subcommand is None:
        _serve(context.obj.settings({}))


for _command in COMMANDS:
    cli.add_command(_command)


def _serve(settings: Settings) -> None:
    start_logging(settings)
    trio.run(run, settings, _announce)


def _announce(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def main() -> None:
    """Run the command; what keeps it from starting is one line, and exit code 2."""
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        click.echo(f"racs-server: {error.format_message()} (see racs-server --help)", err=True)
        sys.exit(2)
    except (StartError, StorageError) as error:
        click.echo(f"racs-server: {error}", err=True)
        sys.exit(2 if isinstance(error, StartError) else 1)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()
