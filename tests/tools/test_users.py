"""``racs-server user`` and ``racs-server token``: what they write, say and refuse."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from racs_server.__main__ import cli
from racs_server.access import Access, Effect, Login, UsersFile
from racs_server.access import passwords as kept
from racs_server.errors import StartError
from racs_server.tools import users as tool
from tests.access.users import cheap

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(tool, "Passwords", cheap)

    def run_one(*arguments: str, answer: str = "") -> Result:
        command = ["--data-dir", str(tmp_path), *arguments]
        result = CliRunner().invoke(cli, command, input=answer)
        if isinstance(result.exception, StartError):
            raise result.exception
        return result

    return run_one


@pytest.fixture
def access(tmp_path: Path) -> Callable[[], Access]:
    return lambda: Access(UsersFile(tmp_path / "users.json"), passwords=cheap)


Current = Callable[[], Access]


def test_a_password_is_asked_for_twice_and_not_shown(run: Run, access: Current) -> None:
    result = run("user", "add", "anna", "--admin", "*", answer="annas hush\nannas hush\n")
    assert "hush" not in result.output
    assert "user anna added: admin on '*'" in result.output
    caller = access().check_password(Login("anna", "annas hush"))
    assert caller.may(Effect.ADMIN, "x")


def test_a_password_can_come_from_a_pipe(run: Run, access: Current) -> None:
    run("user", "add", "anna", "--read", "*", "--password-stdin", answer=" annas hush \n")
    assert access().check_password(Login("anna", " annas hush ")).name == "anna"
    run("user", "passwd", "anna", "--password-stdin", answer="another hush")
    assert access().check_password(Login("anna", "another hush")).name == "anna"


def test_a_token_is_shown_once_and_works_until_it_is_removed(run: Run, access: Current) -> None:
    run("user", "add", "bot", "--write", "birds/*", "--read", "*", "--no-password")
    token = run("token", "add", "bot", "roof").output.strip()
    assert access().identify(token).grants == access().users.users["bot"].grants
    listed = run("token", "list").output + run("user", "list").output
    assert "bot roof, made 2" in listed
    assert "bot: read on '*', write on 'birds/*'; no password, 1 tokens" in listed
    assert token not in listed
    assert kept.digest(token) not in listed
    run("token", "remove", "bot", "roof")
    assert not access().users.users["bot"].tokens


def test_roles_are_replaced_and_the_rest_stays(run: Run, access: Current) -> None:
    run("user", "add", "bot", "--write", "*", "--no-password")
    token = run("token", "add", "bot", "roof").output.strip()
    assert "read on 'birds/*'" in run("user", "roles", "bot", "--read", "birds/*").output
    caller = access().identify(token)
    assert caller.may(Effect.READ, "birds/wren")
    assert not caller.may(Effect.WRITE, "birds/wren")


def test_the_last_user_can_be_removed_and_what_that_means_is_said(
    run: Run, access: Current
) -> None:
    for name in ("anna", "bot"):
        run("user", "add", name, "--write", "*", "--no-password")
    assert run("user", "remove", "anna").output == "user anna removed\n"
    assert "from now on everybody on this machine may do everything" in (
        run("user", "remove", "bot").output
    )
    assert not access().users


@pytest.mark.parametrize(
    ("arguments", "answer", "error"),
    [
        (["user", "add", "anna", "--read", "*", "--no-password"], "", "a user 'anna' already"),
        (["user", "add", "ben", "--no-password"], "", "without a role"),
        (["user", "add", "", "--read", "*", "--no-password"], "", "1 to 64 printable"),
        (["user", "add", "a\nb", "--read", "*", "--no-password"], "", "1 to 64 printable"),
        (["user", "add", "b" * 65, "--read", "*", "--no-password"], "", "1 to 64 printable"),
        (["user", "add", "ben", "--read", "*", "--password-stdin"], "hush\n", "8 to 256 bytes"),
        (["user", "add", "ben", "--read", "*", "--password-stdin"], "h" * 257, "has 257"),
        (["user", "passwd", "ben", "--password-stdin"], "x", "no user 'ben'; there are: anna"),
        (["user", "roles", "ben", "--read", "*"], "", "no user 'ben'"),
        (["user", "remove", "ben"], "", "no user 'ben'"),
        (["token", "add", "ben", "roof"], "", "no user 'ben'"),
        (["token", "remove", "anna", "roof"], "", "has no token 'roof'"),
        (["token", "add", "anna", "lap"], "", "a token 'lap' already"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, tmp_path: Path, arguments: list[str], answer: str, error: str
) -> None:
    run("user", "add", "anna", "--read", "*", "--no-password")
    run("token", "add", "anna", "lap")
    before = (tmp_path / "users.json").read_bytes()
    with pytest.raises(StartError, match=re.escape(error)) as raised:
        run(*arguments, answer=answer)
    assert "hush" not in str(raised.value)
    assert (tmp_path / "users.json").read_bytes() == before


def test_the_readme_s_commands(run: Run, access: Current) -> None:
    lines = re.findall(r"^racs-server ((?:user|token) .*)$", README, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        result = run(*shlex.split(line, comments=True), answer="a password\na password\n")
        assert result.exit_code == 0
    assert set(access().users.users) == {"anna", "lab", "logger"}
