"""The command ``racs-server``, also ``python -m racs_server``."""

import logging
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import trio

from racs_server.app import run
from racs_server.config import FIELDS, load_settings, show
from racs_server.errors import StartError, StorageError

_KINDS: dict[Any, Any] = {int: int, float: float, str: str, Path: click.Path(path_type=Path)}


def _with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting, from the table of settings."""
    for name, field in reversed(FIELDS.items()):
        metadata = field.metadata
        kind = click.Choice(metadata["choices"]) if metadata["choices"] else _KINDS[field.type]
        command = click.option(
            f"--{name.replace('_', '-')}",
            type=kind,
            help=f"{metadata['doc']}  [default: {show(field.default, metadata['unit'])}]",
        )(command)
    return command


@click.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every setting can also come from a variable (RACS_PORT=6381) or from the TOML file"
    " (port = 6381); the command line goes before the variable, the variable before the file.",
)
@_with_settings
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="RACS_CONFIG",
    help="Read settings from this TOML file.",
)
@click.version_option(version("racs-store"), prog_name="racs-server")
def cli(config: Path | None, **flags: Any) -> None:
    """Archive audio streams, and give any moment of them back.

    Listens for RACS clients, stores the PCM that they stream as ordinary WAV files in the data
    folder, and sends back any range of it, exact to the sample frame.

    Ends in order on SIGINT (Ctrl-C) and SIGTERM.
    """
    settings = load_settings(flags, os.environ, config)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    trio.run(run, settings, _announce)


def _announce(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()


def main() -> None:
    """Run the command; what keeps it from starting is one line, and exit code 2."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as request:
        sys.exit(request.exit_code)
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
