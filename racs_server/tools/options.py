"""Settings as options of commands, from the one table of settings."""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from racs_server.config import FIELDS, Settings, load_settings, show

_KINDS: dict[Any, Any] = {
    int: int,
    float: float,
    str: str,
    bool: bool,
    Path: click.Path(path_type=Path),
}


class Given:
    """The settings that stand before a subcommand; click hands them on to it.

    Parameters
    ----------
    flags
        What was given on the command line, by setting name; None where it was not.
    config
        The settings file, or None.
    """

    def __init__(self, flags: Mapping[str, Any], config: Path | None) -> None:
        self._flags = dict(flags)
        self._config = config

    def settings(self, flags: Mapping[str, Any]) -> Settings:
        """Return all settings; those given behind the subcommand go before those in front of it.

        Raises
        ------
        StartError
            A setting is unknown or out of bounds, or the file cannot be read.
        """
        later = {name: value for name, value in flags.items() if value is not None}
        return load_settings({**self._flags, **later}, os.environ, self._config)


def setting_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command an option for each of the settings named."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            metadata = FIELDS[name].metadata
            choices = metadata["choices"]
            default = show(FIELDS[name].default, metadata["unit"])
            flag = f"--{name.replace('_', '-')}"
            command = click.option(
                f"{flag}/--no-{flag[2:]}" if FIELDS[name].type is bool else flag,
                default=None,
                type=click.Choice(choices) if choices else _KINDS[FIELDS[name].type],
                help=f"{metadata['doc']}  [default: {default}]",
            )(command)
        return command

    return decorate


def takes_settings(*names: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Let a subcommand take these settings as options, and hand it all as ``settings``."""

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def with_settings(**arguments: Any) -> int:
            flags = {name: arguments.pop(name) for name in names}
            given = click.get_current_context().find_object(Given)
            assert given is not None
            return command(settings=given.settings(flags), **arguments)

        return setting_options(*names)(with_settings)

    return decorate
