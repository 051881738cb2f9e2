"""Who a client is: the users as they are now, and what clients show compared with them.

Invariants
----------
- What a client shows is in no error, no log and no `repr`.
- Whether a user exists cannot be told from an answer, nor from the time that it takes.
- A users file that cannot be read takes no right away and gives none: the users stay as they were.
"""

import hmac
import logging
import stat
from collections.abc import Callable

from racs_server.access.passwords import Login, Passwords, digest
from racs_server.access.rights import EVERYONE, NOBODY, Caller
from racs_server.access.users import User, Users, UsersFile
from racs_server.errors import AccessError, StartError

logger = logging.getLogger(__name__)

_WRONG = "the user or the password is wrong"
_WRONG_TOKEN = "there is no such token"  # noqa: S105 (an error's text)


class Access:
    """The users, and what callers they make of clients.

    Parameters
    ----------
    file
        The users file; None: there are no users.
    required
        Whether clients have to say who they are even while no user is defined: nobody gets in then.
    passwords
        Makes what compares passwords, when one has to be compared for the first time.

    Attributes
    ----------
    users
        As they are now; another object after each change.

    Raises
    ------
    StartError
        The file cannot be read.
    """

    def __init__(
        self,
        file: UsersFile | None = None,
        *,
        required: bool = False,
        passwords: Callable[[], Passwords] = Passwords,
    ) -> None:
        self._file = file
        self._required = required
        self._make_passwords = passwords
        self._passwords: Passwords | None = None
        self._state = file.state() if file else None
        self.users = file.load() if file else Users()
        self._warn()

    def __repr__(self) -> str:
        return f"<Access for {len(self.users.users)} users{', required' * self._required}>"

    @property
    def anyone(self) -> Caller:
        """Who has shown nothing: everyone, or nobody as soon as there are users."""
        return NOBODY if self._required or self.users else EVERYONE

    def identify(self, token: str) -> Caller:
        """Return who has a token; for whatever listens, with `require` for what they may do.

        Raises
        ------
        AccessError
            Nobody has it.
        """
        self._refuse_without_users()
        shown = digest(token)
        # every one is compared, so that the time says nothing about which was like it
        found = [
            (name, user)
            for name, user in self.users.users.items()
            for token in user.tokens.values()
            if hmac.compare_digest(token.sha256, shown)
        ]
        if not found:
            raise AccessError(_WRONG_TOKEN)
        name, user = found[0]
        return Caller(name, user.grants, shown)

    def check_password(self, login: Login) -> Caller:
        """Return who has a password; blocks for some 30 ms.

        Raises
        ------
        AccessError
            The user or the password is wrong.
        """
        self._refuse_without_users()
        if self._passwords is None:
            self._passwords = self._make_passwords()
        user = self.users.users.get(login.user or "", User(()))
        matches = self._passwords.matches(user.password, login.secret)
        if not matches or user.password is None:
            raise AccessError(_WRONG)
        return Caller(login.user or "", user.grants, user.password)

    def _refuse_without_users(self) -> None:
        if self.anyone is EVERYONE:
            raise AccessError("this server has no users: leave AUTH out")

    def renew(self, caller: Caller) -> Caller:
        """Return who somebody is now that the users have changed: perhaps nobody."""
        if caller in (EVERYONE, NOBODY):
            return self.anyone
        user = self.users.users.get(caller.name)
        if user is None or caller.proof not in user.proofs:
            return self.anyone
        return Caller(caller.name, user.grants, caller.proof)

    def refresh(self) -> None:
        """Read the users file again if it has changed; blocks."""
        if self._file is None:
            return
        try:
            state = self._file.state()
            if state == self._state:
                return
            if state is None:
                raise StartError(
                    f"the users file {self._file.path} is gone: to end a user's rights, use"
                    " racs-server user remove"
                )
            users = self._file.load()
        except StartError as error:
            if self._state is not None:
                logger.error("%s. The %d users stay as they were", error, len(self.users.users))
            self._state = None
            return
        self.users, self._state = users, state
        logger.info("the users file has changed: %d users", len(users.users))
        if self.anyone is EVERYONE:
            logger.warning("there is no user any more: whoever reaches it may do everything")
        self._warn()

    def _warn(self) -> None:
        if self._file and self._state and self._state[0] & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning("the users file %s can be read by others: chmod 600 it", self._file.path)
