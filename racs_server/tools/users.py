"""``racs-server user`` and ``racs-server token``: who may use the server.

They edit the users file; a running server takes note of it within seconds. Passwords are asked for
or read from standard input, never taken from the command line, where a shell would keep them.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import click
import msgspec

from racs_server.access import Effect, Grant, Passwords, Token, User, Users, UsersFile
from racs_server.access.passwords import digest, new_token
from racs_server.access.users import MAX_NAME
from racs_server.config import Settings
from racs_server.errors import StartError
from racs_server.tools.options import takes_settings

LEAST_PASSWORD = 8
MOST_PASSWORD = 256

_with_file = takes_settings("data_dir", "users_file")


def _with_roles(command: Callable[..., Any]) -> Callable[..., Any]:
    for role in reversed(Effect):
        command = click.option(
            f"--{role}",
            multiple=True,
            metavar="PATTERN",
            help=f"Give the role {role} on the streams that match, such as '*' or 'birds/*';"
            " can be given several times.",
        )(command)
    return command


_with_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, as one line."
)


@click.group()
def user() -> None:
    """Define who may use the server, and what they may do.

    Everybody may do everything until there is a user; from then on, nobody else.
    """


@click.group()
def token() -> None:
    """Make and withdraw tokens: passwords for programs, each of which can be withdrawn alone."""


@user.command("add")
@click.argument("name")
@_with_roles
@_with_stdin
@click.option("--no-password", is_flag=True, help="The user has tokens only.")
@_with_file
def add_user(
    settings: Settings, name: str, password_stdin: bool, no_password: bool, **roles: tuple[str, ...]
) -> int:
    """Add the user NAME, with a password that is asked for."""
    _check_name(name, "user")
    grants = _grants(roles)

    def add(users: Users, kept: str | None = None) -> Users:
        if name in users.users:
            raise StartError(f"there is a user {name!r} already: see racs-server user list")
        return users.with_user(name, User(grants, kept))

    file = UsersFile(settings.users_path)
    add(file.load())  # before a password is asked for
    kept = None if no_password else Passwords().hash(_ask(password_stdin))
    file.edit(partial(add, kept=kept))
    click.echo(f"user {name} added: {_described(grants)}")
    return 0


@user.command("passwd")
@click.argument("name")
@_with_stdin
@_with_file
def change_password(settings: Settings, name: str, password_stdin: bool) -> int:
    """Give the user NAME another password. Connections made with the old one have to log in."""
    file = UsersFile(settings.users_path)
    _find(file.load(), name)
    kept = Passwords().hash(_ask(password_stdin))
    file.edit(lambda users: _changed(users, name, password=kept))
    click.echo(f"user {name} has another password")
    return 0


@user.command("roles")
@click.argument("name")
@_with_roles
@_with_file
def change_roles(settings: Settings, name: str, **roles: tuple[str, ...]) -> int:
    """Give the user NAME these roles, and no others."""
    grants = _grants(roles)
    UsersFile(settings.users_path).edit(lambda users: _changed(users, name, grants=grants))
    click.echo(f"user {name} has {_described(grants)}")
    return 0


@user.command("remove")
@click.argument("name")
@_with_file
def remove_user(settings: Settings, name: str) -> int:
    """Remove the user NAME, with all their tokens."""

    def remove(users: Users) -> Users:
        _find(users, name)
        return users.without(name)

    file = UsersFile(settings.users_path)
    file.edit(remove)
    click.echo(f"user {name} removed")
    if not file.load():
        click.echo(
            "there is no user any more: from now on everybody on this machine may do everything,"
            " whoever comes through a proxy too",
            err=True,
        )
    return 0


@user.command("list")
@_with_file
def list_users(settings: Settings) -> int:
    """List the users and their roles."""
    for name, each in sorted(UsersFile(settings.users_path).load().users.items()):
        secrets = f"{'a' if each.password else 'no'} password, {len(each.tokens)} tokens"
        click.echo(f"{name}: {_described(each.grants)}; {secrets}")
    return 0


@token.command("add")
@click.argument("user_name", metavar="USER")
@click.argument("name")
@_with_file
def add_token(settings: Settings, user_name: str, name: str) -> int:
    """Make the token NAME for a USER, and print it: it is shown this once."""
    _check_name(name, "token")
    made = new_token()
    kept = Token(digest(made), datetime.now(UTC).isoformat(timespec="seconds"))

    def add(users: Users) -> Users:
        tokens = _find(users, user_name).tokens
        if name in tokens:
            raise StartError(f"{user_name!r} has a token {name!r} already: remove it first")
        return _changed(users, user_name, tokens={**tokens, name: kept})

    UsersFile(settings.users_path).edit(add)
    click.echo(made)
    return 0


@token.command("remove")
@click.argument("user_name", metavar="USER")
@click.argument("name")
@_with_file
def remove_token(settings: Settings, user_name: str, name: str) -> int:
    """Withdraw the token NAME of a USER."""

    def remove(users: Users) -> Users:
        tokens = dict(_find(users, user_name).tokens)
        if tokens.pop(name, None) is None:
            raise StartError(f"{user_name!r} has no token {name!r}: see racs-server token list")
        return _changed(users, user_name, tokens=tokens)

    UsersFile(settings.users_path).edit(remove)
    click.echo(f"token {name} of {user_name} removed")
    return 0


@token.command("list")
@_with_file
def list_tokens(settings: Settings) -> int:
    """List the tokens of all users, and when they were made."""
    for user_name, each in sorted(UsersFile(settings.users_path).load().users.items()):
        for name, kept in sorted(each.tokens.items()):
            click.echo(f"{user_name} {name}, made {kept.created}")
    return 0


def _find(users: Users, name: str) -> User:
    found = users.users.get(name)
    if found is None:
        known = ", ".join(sorted(users.users)) or "none"
        raise StartError(f"there is no user {name!r}; there are: {known}")
    return found


def _changed(users: Users, name: str, **changes: Any) -> Users:
    return users.with_user(name, msgspec.structs.replace(_find(users, name), **changes))


def _check_name(name: str, what: str) -> None:
    if not (1 <= len(name) <= MAX_NAME and name.isprintable() and not name.isspace()):
        raise StartError(
            f"a {what}'s name has 1 to {MAX_NAME} printable characters, and {name!r} has not"
        )


def _grants(roles: dict[str, tuple[str, ...]]) -> tuple[Grant, ...]:
    grants = tuple(Grant(role, pattern) for role in Effect for pattern in roles[role])
    if not grants:
        raise StartError(
            "a user without a role may do nothing: give --read PATTERN, --write PATTERN or --admin"
            " PATTERN, such as --write '*'"
        )
    return grants


def _described(grants: tuple[Grant, ...]) -> str:
    return ", ".join(map(str, grants))


def _ask(from_stdin: bool) -> str:
    password: str
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    size = len(password.encode())
    if not LEAST_PASSWORD <= size <= MOST_PASSWORD:
        raise StartError(
            f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} bytes, and this one has {size}"
        )
    return password
