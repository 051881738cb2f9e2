"""What has come out of a run: the files of its reply, and what was put."""

from racs_server.hub.outputs import Outputs, match_files, outputs_of, shortened
from racs_server.hub.rows import Upload


def upload(name: str, number: int, *, original: bool = False) -> Upload:
    return Upload(f"{number:032x}", "k", "", name, number, "", 1000.0, True, original)


def original(name: str, number: int) -> Upload:
    return upload(name, number, original=True)


def names(made: Outputs) -> list[tuple[int, str, str]]:
    return [(file.number, file.name, file.problem) for file in made.files]


def test_files_are_matched_by_name_and_order() -> None:
    puts = [upload("same.wav", 1), upload("a+b&c", 2), upload("same.wav", 3)]
    names = [{"name": "same.wav"}, {"name": "same.wav"}, {"name": "a b&c#ü.wav"}, {"name": "no"}]
    assert match_files(names, puts) == [puts[0], puts[2], puts[1], None]
    assert match_files([{"name": "x"}], [], puts) == [None], "strangers by name only"
    assert match_files([{"name": "a+b&c"}], [], puts) == [puts[1]]


def test_a_sound_is_kept_as_it_was_before_the_client_converted_it() -> None:
    before, after = original("tone.flac", 1), upload("tone.wav", 2)
    made = outputs_of([{"name": "tone.wav", "type": "audio"}], [before, after])
    assert names(made) == [(1, "tone.flac", "")]
    assert (made.files[0].type, made.files[0].bytes) == ("audio", before.bytes)
    assert (made.kept, made.put) == ((before,), (after,))


def test_sounds_of_one_name_are_told_apart_by_their_order() -> None:
    uploads = [
        original("a.mp3", 1),
        upload("a.wav", 2),
        original("a.flac", 3),
        original("b.wav", 4),
        upload("b.wav", 5),
        upload("a.wav", 6),
    ]
    reply = [{"name": "a.wav"}, {"name": "b.wav"}, {"name": "a.wav"}, {"name": "note.txt"}]
    made = outputs_of(reply, uploads)
    assert [each.id[-1] if each else "" for each in made.kept] == ["1", "4", "3", ""]
    assert [each.id[-1] if each else "" for each in made.put] == ["2", "5", "6", ""]
    assert names(made)[3] == (4, "note.txt", "the rune did not upload it")


def test_what_the_client_could_not_convert_is_there_all_the_same() -> None:
    made = outputs_of([], [original("broken.wav", 1), upload("note.txt", 2)])
    assert names(made) == [(1, "note.txt", ""), (2, "broken.wav", "")]


def test_a_file_that_a_rune_put_and_did_not_name_is_there_too() -> None:
    made = outputs_of([{"name": "x.txt"}], [upload("y.txt", 1), upload("x.txt", 2)])
    assert names(made) == [(1, "x.txt", ""), (2, "y.txt", "")]


def test_a_path_in_a_name_is_left_out() -> None:
    made = outputs_of([{"name": "../../etc/x.wav"}, {"name": 5}, {}], [])
    assert [name for _, name, _ in names(made)] == ["x.wav", "5", "file"]


def test_a_long_text_loses_its_middle() -> None:
    assert shortened("abc", 3) == "abc"
    assert shortened("a" * 10 + "b" * 10, 4) == "aa\n… 16 characters are left out …\nbb"
