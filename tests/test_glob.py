"""Glob patterns: by example, against Python's own matcher, and with hostile ones."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs_server.glob import compile_glob


def matches(pattern: str, text: str) -> bool:
    return bool(compile_glob(pattern)(text))


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*", ["", "a", "a/b\nc", "日本"], []),
        ("**", ["", "abc"], []),
        ("", [""], ["a"]),
        ("g1", ["g1"], ["G1", "g12", "xg1", "g1\n"]),
        ("g*", ["g", "g1", "g/1"], ["G1", "ag"]),
        ("*g", ["g", "1g", "gg"], ["ga"]),
        ("g?", ["g1", "g/", "g\n", "g🎵"], ["g", "g12"]),
        ("*/*", ["/", "a/../b"], ["a"]),
        ("a*b*c", ["abc", "aXbYc", "abcbc"], ["acb", "ab", "abcx"]),
        ("[gd]*", ["g1", "d"], ["G1", "xg"]),
        ("[!gd]*", ["G1", "x"], ["g1", "d", ""]),
        ("c[0-9]", ["c0", "c9"], ["c", "ca", "c10"]),
        ("[0-9a-f]", ["0", "a", "f"], ["g", "-"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[-a]", ["a", "-"], ["b"]),
        ("[]a]", ["]", "a"], ["b"]),
        ("[!]a]", ["b"], ["]", "a"]),
        ("[z-a]", [], ["a", "z", "-", ""]),
        ("[!z-a]", ["a", "z"], ["", "ab"]),
        ("[a^]", ["a", "^"], ["b"]),
        ("[^a]", ["a", "^"], ["b"]),
        ("[*]", ["*"], ["a"]),
        ("[[]", ["["], ["]"]),
        ("[&&~~||--a]", ["&", "~", "|", "a"], ["-", "A", "b", "z"]),
        ("[g", ["[g"], ["g", ""]),
        ("[!", ["[!"], ["a"]),
        ("[]", ["[]"], ["a"]),
        ("[!]", ["[!]"], ["a"]),
        ("a.b+(c)|$^\\d", ["a.b+(c)|$^\\d"], ["aXb"]),
        ("it's", ["it's"], ["its"]),
        ("naïve/日?", ["naïve/日本"], ["naive/日本"]),
    ],
)
def test_examples(pattern: str, fitting: list[str], others: list[str]) -> None:
    assert [text for text in [*fitting, *others] if matches(pattern, text)] == fitting


ALPHABET = st.text(alphabet="ab-!^]/\n", max_size=12)


@given(st.text(alphabet="ab*?[]!-^/\n", max_size=14), ALPHABET)
def test_it_agrees_with_pythons_matcher(pattern: str, text: str) -> None:
    assert matches(pattern, text) == fnmatch.fnmatchcase(text, pattern)


@given(st.text(), st.text())
def test_any_text_is_a_pattern(pattern: str, text: str) -> None:
    matches(pattern, text)
    assert matches(f"*{text.replace('[', '[[]').replace('?', '[?]').replace('*', '[*]')}*", text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("a*" * 120 + "b", "a" * 255),
        ("*a" * 120 + "*b", "a" * 255),
        ("*" + "a" * 127 + "b", "a" * 255),
        ("?*" * 120 + "[!a]", "a" * 255),
        ("*" * 65_000 + "b", "a" * 255),
        ("[" * 65_000, "[" * 255),
        ("*[" * 32_000, "[" * 255),
        ("[" + "a-c" * 20_000 + "]*b", "a" * 255),
        ("[!]" * 20_000, "a" * 255),
        ("a*" * 32_000, "a" * 255),
    ],
    ids=lambda text: text[:8],
)
def test_hostile_patterns_take_no_longer_than_others(pattern: str, text: str) -> None:
    assert not matches(pattern, text)
