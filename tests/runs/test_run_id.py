"""Ids of runs that sort by time."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from racs.runs.run_id import new_run_id, time_of


def test_the_example_of_the_rfc() -> None:
    example = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert time_of(example) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_new_ids_say_when_they_were_made_and_are_uuids() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = [new_run_id() for _ in range(100)]
    assert len(set(made)) == 100
    for each in made:
        time = time_of(each)
        assert time is not None
        assert before <= time <= datetime.now(UTC)
        assert (uuid.UUID(each).version, uuid.UUID(each).variant) == (7, uuid.RFC_4122)


def test_later_ids_are_greater(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (0, 1, 255, 1 << 32, 1 << 40):
        monkeypatch.setattr(time, "time_ns", lambda now=milliseconds: now * 1_000_000)
        made.append(new_run_id())
    assert sorted(made) == made


@pytest.mark.parametrize(
    "text", ["", "x", str(uuid.UUID(int=0)), str(uuid.uuid5(uuid.NAMESPACE_URL, "x")), "f" * 12]
)
def test_other_ids_say_no_time(text: str) -> None:
    assert time_of(text) is None
