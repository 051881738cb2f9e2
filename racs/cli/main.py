"""The program's front: the table of its commands.

Imports no more than click, so that help and completion are quick.
"""

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from racs.cli.base import DEFAULT_URL, INTERRUPTED, Failure, explain
from racs.cli.completing import use_our_shells

COMMANDS = {
    "ls": ("racs.cli.listing", "List streams."),
    "info": ("racs.cli.listing", "Tell all about a stream."),
    "import": ("racs.cli.importing", "Make streams of audio files."),
    "export": ("racs.cli.exporting", "Write a stream, or a part of it, to an audio file."),
    "record": ("racs.cli.recording", "Record audio from standard input into a stream."),
    "play": ("racs.cli.playing", "Play a stream, or pipe it on."),
    "follow": ("racs.cli.following", "Get a stream's audio while it is being recorded."),
    "wave": ("racs.cli.drawing", "Draw a stream's waveform."),
    "eval": ("racs.cli.asking", "Evaluate a Scheme expression on the server."),
    "shell": ("racs.cli.shell", "Talk to the server: commands and programs, line by line."),
    "top": ("racs.cli.watching", "Watch what is being recorded, live."),
    "expire": ("racs.cli.removing", "Let streams be deleted some time after their last audio."),
    "rm": ("racs.cli.removing", "Delete streams, for good."),
    "doctor": ("racs.cli.checking", "Look whether all is well, and say what to do."),
    "bench": ("racs.cli.measuring", "Measure this server."),
    "rune": ("racs.cli.runes", "Run remote functions with a page, and make new ones."),
}
"""Each command's module, which has it under the name ``<name>_command``, and its summary."""


class Commands(click.Group):
    """The commands of the table, loaded when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name, if there is one."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        found: click.Command = getattr(module, f"{cmd_name}_command")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; if there is none, say which is like it."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"There is no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what the word can become: a command, or an option."""
        commands = [
            CompletionItem(name, help=summary)
            for name, (_, summary) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever ends it but a bug becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Failure(str(error) or "stopped by Ctrl-C", INTERRUPTED) from error
        except Exception as error:
            if (failure := explain(error)) is None:
                raise
            raise failure from error


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="'racs COMMAND --help' has examples. Completion of commands, options and streams: put"
    ' eval "$(_RACS_COMPLETE=bash_source racs)" into ~/.bashrc; zsh_source for zsh; in fish'
    " _RACS_COMPLETE=fish_source racs | source.",
)
@click.option(
    "--url",
    default=DEFAULT_URL,
    envvar="RACS_URL",
    show_default=True,
    show_envvar=True,
    help="The server: racs://host:port, with TLS racss://, with a login"
    " racs://user:password@host:port or racs://:token@host:port.",
)
@click.option("--json", is_flag=True, help="Print JSON, for programs.")
@click.version_option(package_name="racs-store", prog_name="racs")
@click.pass_context
def cli(context: click.Context, /, url: str, json: bool) -> None:
    """Keep audio in a racs-server, and get any moment of it back."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return
    from racs.cli.session import Session

    context.obj = Session(url, json=json)
    context.call_on_close(context.obj.close)


use_our_shells()
