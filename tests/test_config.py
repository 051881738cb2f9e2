"""Settings: where they come from, which source goes first, and what is said of a bad one."""

from pathlib import Path
from typing import Any

import pytest

from racs_server.config import FIELDS, Settings, load_settings, show
from racs_server.errors import StartError


def test_without_any_source_the_defaults_hold() -> None:
    settings = load_settings({}, {}, None)
    assert settings == Settings()
    assert (settings.host, settings.port, settings.durability) == ("127.0.0.1", 6381, "interval")


def test_the_command_line_goes_before_the_variable_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "racs.toml"
    file.write_text('port = 1\nlease = 2\nhost = "::1"\ndata_dir = "~/x"\n', encoding="utf-8")
    environment = {"RACS_PORT": "11", "RACS_LEASE": "12.5", "OTHER": "1"}
    settings = load_settings({"port": 111, "host": None}, environment, file)
    assert (settings.port, settings.lease, settings.host) == (111, 12.5, "::1")
    assert settings.data_dir == Path.home() / "x"


@pytest.mark.parametrize(
    ("flags", "environment", "text", "message"),
    [
        ({"port": 65536}, {}, "", "port = 65536 (--port): it must be 0 to 65535"),
        ({}, {"RACS_PORT": "high"}, "", "port = 'high' (RACS_PORT): it must be a whole number"),
        ({}, {"RACS_LEASE": "nan"}, "", "lease = nan (RACS_LEASE): it must be 0.1 to 86400"),
        ({}, {"RACS_DURABILITY": "none"}, "", "must be one of os, interval, always"),
        ({}, {}, "port = 1.5", "port = 1.5 in {file}: it must be a whole number"),
        ({}, {}, "port = true", "port = True in {file}: it must be a whole number"),
        ({}, {"RACS_INSECURE": "maybe"}, "", "(RACS_INSECURE): it must be true or false"),
        ({}, {}, "insecure = 2", "in {file}: it must be true or false"),
        ({}, {}, "prot = 1", "unknown setting 'prot' in {file}; known are host, port"),
        ({}, {}, "port 1", "the settings file {file} is not TOML"),
    ],
)
def test_a_bad_setting_is_named_with_its_source(
    tmp_path: Path, flags: dict[str, Any], environment: dict[str, str], text: str, message: str
) -> None:
    file = tmp_path / "racs.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(StartError) as raised:
        load_settings(flags, environment, file)
    assert message.format(file=file) in str(raised.value)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read: No such file"):
        load_settings({}, {}, tmp_path / "none.toml")


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_explains_itself_and_its_default_is_within_its_bounds(name: str) -> None:
    field = FIELDS[name]
    assert field.metadata["doc"].endswith(".")
    assert load_settings({name: field.default}, {}, None) == Settings()


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (64 << 20, "bytes", "64 MiB"),
        (1000, "bytes", "1000 bytes"),
        (0.2, "s", "0.2 s"),
        (5, "", "5"),
    ],
)
def test_values_are_shown_as_people_read_them(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


@pytest.mark.parametrize(
    ("flags", "environment", "text", "insecure"),
    [
        ({}, {}, "insecure = true", True),
        ({}, {"RACS_INSECURE": "1"}, "", True),
        ({}, {"RACS_INSECURE": "No"}, "insecure = true", False),
        ({"insecure": False}, {"RACS_INSECURE": "yes"}, "", False),
        ({"insecure": True}, {}, "insecure = false", True),
    ],
)
def test_a_switch_is_on_or_off(
    tmp_path: Path, flags: dict[str, Any], environment: dict[str, str], text: str, insecure: bool
) -> None:
    file = tmp_path / "racs.toml"
    file.write_text(text, encoding="utf-8")
    assert load_settings(flags, environment, file).insecure is insecure


def test_the_users_file_is_in_the_data_folder_unless_it_says_where_it_is() -> None:
    settings = load_settings({"data_dir": Path("/srv/racs")}, {}, None)
    assert settings.users_path == Path("/srv/racs/users.json")
    settings = load_settings({"users_file": Path("/etc/racs.json")}, {}, None)
    assert settings.users_path == Path("/etc/racs.json")
    assert load_settings({"disable": " DELETE, expire,"}, {}, None).disabled == ["DELETE", "expire"]
