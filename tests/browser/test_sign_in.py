"""The page of a server that has users."""

from collections.abc import Iterator

import pytest

from tests.access.users import TOKEN, access_to
from tests.browser.chromium import Page
from tests.e2e.daemon import Daemon


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("hub") / "archive"
    folder.mkdir()
    access_to(folder / "users.json")
    with Daemon(folder, "--hub-port", "0") as running:
        yield running


def test_a_user_s_token_is_asked_for_once(page: Page) -> None:
    page.sees("Who are you?")
    page.enter("Your access token", "wrong")
    page.press("Sign in")
    page.wait(page.complaints)
    page.enter("Your access token", TOKEN)
    page.press("Sign in")
    page.sees("racs rune run SCRIPT")
    page.open("#/archive")
    page.sees("No stream matches.")
    page.driver.refresh()
    page.sees("No stream matches.")


def test_the_archive_asks_as_well(page: Page) -> None:
    page.open("#/archive")
    page.sees("Who are you?")
    page.enter("Your access token", TOKEN)
    page.press("Sign in")
    page.sees("No stream matches.")
