"""What becomes of runs, without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from racs_server.hub.book import Book
from racs_server.hub.contract import read_contract
from racs_server.hub.desk import MOST_CONSOLE, Desk, NotFoundError
from racs_server.hub.presence import BUSY, GONE, LOADING, READY, Signs, state_of
from racs_server.hub.rows import Run, Upload

TOKEN, KEY = "471a5857", "k"
CONTRACT = read_contract({"method_name": "work", "name": "Work"})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    book = Book(tmp_path / "hub.sqlite")
    desk = Desk(book, clock)
    desk.register(TOKEN, CONTRACT, KEY)
    desk.set_loaded(TOKEN, True)
    yield desk
    book.close()


def queued(desk: Desk, name: str, created: float = 1.0) -> Run:
    run = Run(name, TOKEN, "pending", "Work", "work", {}, {}, created)
    desk.queue(run)
    return run


def begin(desk: Desk, name: str) -> None:
    queued(desk, name, float(len(name)))
    assert desk.offer(TOKEN) is not None
    desk.take_status(TOKEN, name, "processing")


def upload(name: str, number: int, key: str = KEY) -> Upload:
    return Upload(f"{number:032x}", key, "", name, 1, "", 1000.0, output=True)


def test_nothing_is_offered_before_a_rune_has_loaded(desk: Desk) -> None:
    desk.set_loaded(TOKEN, False)
    queued(desk, "a")
    assert desk.offer(TOKEN) is None
    desk.set_loaded(TOKEN, True)
    assert desk.offer(TOKEN) is not None


def test_one_at_a_time_and_in_order(desk: Desk) -> None:
    queued(desk, "a", 1)
    queued(desk, "b", 2)
    first = desk.offer(TOKEN)
    assert first is not None
    assert first.id == "a"
    assert desk.offer(TOKEN) is None
    desk.take_status(TOKEN, "a", "processing")
    assert desk.offer(TOKEN) is None
    desk.take_reply(TOKEN, "a", {"status": "completed"})
    second = desk.offer(TOKEN)
    assert second is not None
    assert second.id == "b"


def test_an_offer_that_was_not_taken_up_is_made_again(desk: Desk, clock: Clock) -> None:
    queued(desk, "a")
    assert desk.offer(TOKEN) is not None
    clock.now += 9
    assert desk.offer(TOKEN) is None
    clock.now += 2
    assert desk.offer(TOKEN) is not None


def test_the_truth_about_errors(desk: Desk) -> None:
    begin(desk, "a")
    file = {"name": "x.wav", "type": "audio", "url": "http://invented/x.wav"}
    desk.take_upload(upload("x.wav", 1))
    response = {"status": "error", "error": "boom", "files": [file], "message": None, "logs": ""}
    run = desk.take_reply(TOKEN, "a", response)
    assert (run.state, run.error, run.outputs[0].name) == ("error", "boom", "x.wav")


def test_a_reply_to_a_stopped_run_is_kept(desk: Desk) -> None:
    begin(desk, "a")
    assert [run.id for run in desk.abort(TOKEN)] == ["a"]
    queued(desk, "b", 9)
    assert desk.offer(TOKEN) is None, "the rune is still busy with it"
    run = desk.take_reply(TOKEN, "a", {"status": "completed", "message": "late"})
    assert (run.state, run.message) == ("aborted", "late")
    assert desk.offer(TOKEN) is not None


def test_what_was_put_but_not_named_is_kept(desk: Desk) -> None:
    begin(desk, "a")
    desk.take_upload(upload("x.wav", 1))
    run = desk.take_reply(TOKEN, "a", {"status": "error", "error": "boom", "files": []})
    assert [file.name for file in run.outputs] == ["x.wav"]


def test_a_file_that_was_never_put_is_told(desk: Desk) -> None:
    begin(desk, "a")
    run = desk.take_reply(TOKEN, "a", {"files": [{"name": "x.wav", "type": "audio"}]})
    assert run.outputs[0].problem
    assert run.files == ("",)


def test_a_rune_that_begins_anew_has_lost_its_run(desk: Desk) -> None:
    begin(desk, "a")
    desk.set_loaded(TOKEN, False)
    run = desk.run("a")
    assert run.state == "error"
    assert "Run it again" in str(run.error)


def test_after_a_restart_of_the_hub_a_reply_still_counts(desk: Desk, clock: Clock) -> None:
    begin(desk, "a")
    queued(desk, "b", 9)
    again = Desk(desk.book, clock)
    assert again.take_reply(TOKEN, "a", {"status": "completed"}).state == "completed"
    assert again.offer(TOKEN) is not None


def test_a_rune_whose_reply_was_lost_in_a_restart_is_asked_again(desk: Desk, clock: Clock) -> None:
    begin(desk, "a")
    queued(desk, "b", 9)
    again = Desk(desk.book, clock)
    assert again.offer(TOKEN) is not None
    again.take_status(TOKEN, "b", "error")
    assert again.run("b").state == "pending", "it was busy with the other one"
    clock.now += 31
    assert again.offer(TOKEN) is not None
    again.take_status(TOKEN, "b", "processing")
    assert again.run("b").state == "processing"
    assert again.take_upload(upload("x.wav", 1)).run == "b"


def test_a_run_of_another_connection_is_not_to_be_had(desk: Desk) -> None:
    begin(desk, "a")
    with pytest.raises(NotFoundError):
        desk.take_reply("other", "a", {})


def test_what_a_process_prints_belongs_to_its_run(desk: Desk, clock: Clock) -> None:
    begin(desk, "a")
    assert desk.take_output(KEY, [(0.0, "hello ")]) == ""
    desk.take_reply(TOKEN, "a", {"status": "completed", "logs": "inner"})
    desk.take_output(KEY, [(0.0, "wor"), (0.0, "ld")])
    clock.now += 5
    desk.take_output(KEY, [(0.0, "later")])
    assert desk.run("a").all_logs == "inner\nhello world"


def test_what_was_printed_in_the_run_before_stays_there(desk: Desk, clock: Clock) -> None:
    begin(desk, "a")
    clock.now += 1
    desk.take_reply(TOKEN, "a", {"status": "completed"})
    clock.now += 1
    begin(desk, "b")
    clock.now += 30  # the hub was away meanwhile, for one that could not tell it
    desk.take_output(KEY, [(32.0, "one "), (30.5, "more"), (29.0, "two")])
    assert (desk.run("a").console, desk.run("b").console) == ("one more", "two")


def test_the_launcher_is_told_of_a_stopped_run_however_many_wait(desk: Desk) -> None:
    begin(desk, "a")
    for number in range(10):
        queued(desk, str(number), 2.0 + number)
    desk.abort(TOKEN, "a")
    assert desk.take_output(KEY, [(0.0, "still here")]) == "a"
    assert desk.run("a").console == "still here"
    desk.take_end(KEY, "it was ended")
    assert desk.take_output(KEY, []) == ""
    assert desk.run("a").state == "aborted"


@pytest.mark.parametrize(
    ("signs", "loaded", "busy", "state"),
    [
        (Signs(95), True, False, READY),
        (Signs(0, polling=1), True, False, READY),
        (Signs(80, beat=99), True, False, GONE),
        (Signs(0, beat=99), False, False, LOADING),
        (Signs(0, beat=80), False, False, GONE),
        (Signs(60), True, True, BUSY),
        (Signs(0, beat=60), True, True, BUSY),
        (Signs(0, beat=30), True, True, GONE),
    ],
)
def test_who_is_alive(signs: Signs, loaded: bool, busy: bool, state: str) -> None:
    assert state_of(signs, loaded=loaded, busy=busy, now=100.0) == state


def test_of_endless_logs_begin_and_end_are_kept(desk: Desk) -> None:
    begin(desk, "a")
    logs = "first" + "x" * (30 << 20) + "last"
    desk.take_reply(TOKEN, "a", {"status": "completed", "logs": logs})
    kept = desk.run("a").logs
    assert (kept[:6], kept[-5:]) == ("firstx", "xlast")
    assert "characters are left out" in kept
    assert len(kept) < MOST_CONSOLE + 100


def test_a_rune_that_was_busy_while_the_hub_was_away_gets_the_next_run_after_it(
    desk: Desk, clock: Clock
) -> None:
    begin(desk, "a")
    queued(desk, "b", created=2.0)
    again = Desk(desk.book, clock)
    assert again.offer(TOKEN) == again.run("b")
    again.take_status(TOKEN, "b", "processing")
    again.take_upload(upload("x.wav", 1))
    again.take_status(TOKEN, "b", "error")
    assert (again.run("a").state, again.run("b").state) == ("processing", "pending")
    assert again.offer(TOKEN) is None
    run = again.take_reply(TOKEN, "a", {"status": "completed", "files": [{"name": "x.wav"}]})
    assert run.outputs[0].bytes, "it came while b seemed to run"
    clock.now += 10
    assert again.offer(TOKEN) == again.run("b")
    again.take_status(TOKEN, "b", "processing")
    assert again.run("b").holds


def test_a_run_whose_reply_was_lost_is_over_when_the_next_one_is_done(
    desk: Desk, clock: Clock
) -> None:
    begin(desk, "a")
    queued(desk, "b", created=2.0)
    again = Desk(desk.book, clock)
    again.offer(TOKEN)
    again.take_status(TOKEN, "b", "processing")
    assert again.run("a").state == "processing", "it may still come"
    again.take_reply(TOKEN, "b", {"status": "completed"})
    assert (again.run("a").state, again.run("b").state) == ("error", "completed")
    assert "restarted" in str(again.run("a").error)
