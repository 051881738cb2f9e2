"""Which bytes a request is for (RFC 9110, 13 and 14)."""

import pytest

from racs_server.gateway.ranges import Span, UnsatisfiableError, is_known, wanted_span

TAG = '"abc"'


@pytest.mark.parametrize(
    ("range_", "expected"),
    [
        (None, None),
        ("bytes=0-", Span(0, 100)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=10-19", Span(10, 20)),
        ("bytes=90-500", Span(90, 100)),
        ("bytes=99-", Span(99, 100)),
        ("bytes=-1", Span(99, 100)),
        ("bytes=-500", Span(0, 100)),
        ("Bytes = 1 - 2", Span(1, 3)),
        ("bytes=100-", UnsatisfiableError),
        ("bytes=-0", UnsatisfiableError),
        # what is invalid, or several at once, gets the whole file
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("frames=0-1", None),
        ("bytes=" + "9" * 30 + "-", None),
        ("", None),
    ],
)
def test_range(range_: str | None, expected: object) -> None:
    if expected is UnsatisfiableError:
        with pytest.raises(UnsatisfiableError):
            wanted_span(range_, None, TAG, 100)
    else:
        assert wanted_span(range_, None, TAG, 100) == expected


def test_an_empty_file_has_no_range() -> None:
    with pytest.raises(UnsatisfiableError):
        wanted_span("bytes=0-", None, TAG, 0)


@pytest.mark.parametrize(
    ("if_range", "is_partial"),
    [
        (None, True),
        (TAG, True),
        ('"other"', False),
        (f"W/{TAG}", False),
        ("Sat, 21 Nov 2026 04:41:46 GMT", False),
    ],
)
def test_a_range_of_another_file_gets_all_of_this_one(
    if_range: str | None, is_partial: bool
) -> None:
    assert (wanted_span("bytes=1-2", if_range, TAG, 100) is not None) is is_partial


@pytest.mark.parametrize(
    ("if_none_match", "known"),
    [
        (None, False),
        (TAG, True),
        (f"W/{TAG}", True),
        (f'"x", {TAG}', True),
        ('"x"', False),
        ("*", True),
    ],
)
def test_if_none_match(if_none_match: str | None, known: bool) -> None:
    assert is_known(if_none_match, TAG) is known


def test_content_range() -> None:
    assert Span(10, 20).content_range(100) == "bytes 10-19/100"
