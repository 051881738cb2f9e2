"""The benchmark's own arithmetic and tables; what it measures, it measures when it is run."""

import json
from pathlib import Path

import pytest

from scripts.benchmark.__main__ import SECTIONS
from scripts.benchmark.rows import Bench, NotAvailableError, Outcome, Row, chosen, measure
from scripts.benchmark.table import print_table, write_json

ALL = [row for rows in SECTIONS.values() for row in rows]


def test_every_row_has_a_name_of_its_own() -> None:
    assert len({row.name for row in ALL}) == len(ALL)


def test_a_quick_run_has_rows_of_every_section() -> None:
    assert all(chosen(rows, "", quick=True) for rows in SECTIONS.values())


def test_rows_are_chosen_by_a_part_of_their_names() -> None:
    assert {row.name for row in chosen(ALL, "ping, 4", quick=True)} == {"PING, 4 connections"}


def test_half_the_rate_and_twice_the_time_are_both_half_of_the_limit() -> None:
    assert Outcome("a rate", "1/s", None, [50.0], [100.0]).ratio == 0.5
    assert Outcome("a time", "ms", None, [100.0], [50.0]).ratio == 0.5
    assert Outcome("no limit", "ms", None, [100.0]).ratio is None


def test_the_first_round_does_not_count(tmp_path: Path) -> None:
    ours, limit = iter([1.0, 2.0, 3.0, 4.0]), iter([10.0, 20.0, 30.0, 40.0])
    row = Row("a row", "1/s", lambda _: next(ours), lambda _: next(limit))
    outcome = measure(row, Bench(tmp_path, quick=True))
    assert (outcome.ours, outcome.limit) == ([2.0, 3.0, 4.0], [20.0, 30.0, 40.0])


def test_what_the_server_does_not_know_is_said_so(tmp_path: Path) -> None:
    def refused(_: Bench) -> float:
        raise NotAvailableError("there is no EVAL")

    outcome = measure(Row("a row", "ms", refused), Bench(tmp_path, quick=True))
    assert outcome.remark == "not available: there is no EVAL"


def test_tables_are_for_people_and_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Outcome("PING", "1/s", 13_700.0, [10.0, 12.0, 11.0], [20.0, 22.0, 24.0])
    print_table([outcome])
    printed = capsys.readouterr().out
    assert "10 - 12" in printed
    assert "13,700" in printed
    write_json([outcome], tmp_path / "figures.json")
    [row] = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert (row["median"], row["median_limit"], row["of_limit"]) == (11.0, 22.0, 0.5)
