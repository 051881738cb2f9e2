"""AUTH: who the caller of a connection is."""

from racs_server.access import Login
from racs_server.commands.context import Context
from racs_server.commands.spec import CommandSpec, Effect, Kind, Mode, Output, Overload, Param


def auth(context: Context, user: str, password: str) -> Login:
    """Carry out AUTH: the connection looks at what was shown."""
    return Login(user, password)


def auth_token(context: Context, token: str) -> Login:
    """Carry out AUTH with a token."""
    return Login(None, token)


SPECS = (
    CommandSpec(
        name="AUTH",
        doc="Say who you are, for the rest of the connection. Needed before all else but PING as"
        " soon as the server has users.",
        example="AUTH 'anna' 'correct horse battery staple'",
        overloads=(
            Overload(
                (
                    Param("user", Kind.STRING, "The user's name."),
                    Param("password", Kind.STRING, "The user's password."),
                ),
                auth,
            ),
            Overload((Param("token", Kind.STRING, "A token of the user's."),), auth_token),
        ),
        output=Output.NULL,
        effect=Effect.READ,
        mode=Mode.LOGIN,
        public=True,
        secret=True,
    ),
)
