"""The background evaluator: what is computed once, what is told meanwhile, and what happens when it fails."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest

from recformer.errors import EvaluationError
from recformer.ui.shared.evaluating import Evaluator, Work
from tests.waiting import DEADLINE_S, wait_until

Show = Callable[[int, int], None]


class Slow:
    """A computation that stands still until it is let go, and counts how often it was begun."""

    def __init__(self, log: list[str] | None = None, name: str = "slow") -> None:
        self.begun, self.released = threading.Event(), threading.Event()
        self.times = 0
        self._log, self._name = log, name

    def __call__(self, show: Show) -> None:
        self.times += 1
        show(3, 10)
        self.begun.set()
        assert self.released.wait(DEADLINE_S)
        show(10, 10)
        if self._log is not None:
            self._log.append(self._name)


@pytest.fixture
def slow() -> Iterator[Slow]:
    """Let go in the end, so that no test leaves a thread standing."""
    computation = Slow()
    yield computation
    computation.released.set()


def ended(work: Work) -> None:
    assert not wait([work.future], timeout=DEADLINE_S).not_done


def failing(show: Show) -> None:
    raise EvaluationError("scores that are not numbers")


def test_the_same_key_asked_twice_is_computed_once(slow: Slow) -> None:
    evaluator = Evaluator()
    first = evaluator.ask("a", "model a", slow)
    assert slow.begun.wait(DEADLINE_S)
    assert evaluator.ask("a", "model a", slow) is first
    slow.released.set()
    ended(first)
    assert evaluator.ask("a", "model a", slow) is first  # done and not yet taken
    evaluator.take("a")
    assert slow.times == 1


def test_sessions_that_ask_at_the_same_moment_share_one_computation(slow: Slow) -> None:
    evaluator, together = Evaluator(), threading.Barrier(8)
    works: list[Work] = []

    def session() -> None:
        together.wait(DEADLINE_S)
        works.append(evaluator.ask("a", "model a", slow))

    threads = [threading.Thread(target=session) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    slow.released.set()
    assert len(works) == 8
    assert len({id(work) for work in works}) == 1
    ended(works[0])
    assert slow.times == 1


def test_progress_is_seen_while_the_work_goes_on(slow: Slow) -> None:
    evaluator = Evaluator()
    work = evaluator.ask("a", "model a", slow)
    assert slow.begun.wait(DEADLINE_S)
    (seen,) = evaluator.look(["a"])
    assert (seen.what, seen.done, seen.total, seen.future.done()) == ("model a", 3, 10, False)
    slow.released.set()
    ended(work)
    (seen,) = evaluator.look(["a"])
    assert (seen.done, seen.total, seen.future.done()) == (10, 10, True)


def test_one_is_computed_after_the_other_in_the_order_asked(slow: Slow) -> None:
    evaluator, log = Evaluator(), list[str]()
    first, second = Slow(log, "first"), Slow(log, "second")
    evaluator.ask("1", "first", first)
    second.released.set()
    last = evaluator.ask("2", "second", second)
    assert first.begun.wait(DEADLINE_S)
    assert not second.begun.is_set()
    assert (evaluator.look(["2"])[0].done, evaluator.look(["2"])[0].total) == (0, 0)  # it waits
    first.released.set()
    ended(last)
    assert log == ["first", "second"]


def test_what_failed_is_raised_each_time_and_computed_again_once_it_is_forgotten() -> None:
    evaluator, ran = Evaluator(), threading.Event()
    failed = evaluator.ask("a", "model a", failing)
    ended(failed)
    for _ in range(3):
        with pytest.raises(EvaluationError, match="not numbers"):
            evaluator.take("a")
        assert evaluator.ask("a", "model a", lambda show: ran.set()) is failed
    assert not ran.is_set()
    evaluator.forget("a")
    assert evaluator.look(["a"]) == []
    again = evaluator.ask("a", "model a", lambda show: ran.set())
    ended(again)
    evaluator.take("a")
    assert ran.is_set()


def test_a_failure_stops_nothing_that_waits_behind_it() -> None:
    evaluator, ran = Evaluator(), threading.Event()
    evaluator.ask("bad", "bad", failing)
    evaluator.ask("good", "good", lambda show: ran.set())
    assert evaluator.wait(["bad", "good"], DEADLINE_S)
    evaluator.take("good")
    assert ran.is_set()


def test_waiting_is_in_vain_until_the_last_of_them_is_done(slow: Slow) -> None:
    evaluator = Evaluator()
    evaluator.ask("quick", "quick", lambda show: None)
    evaluator.ask("slow", "slow", slow)
    assert slow.begun.wait(DEADLINE_S)
    assert evaluator.wait(["quick"], 0)
    assert not evaluator.wait(["quick", "slow"], 0)
    slow.released.set()
    assert evaluator.wait(["quick", "slow"], DEADLINE_S)


def test_nothing_is_waited_for_where_nobody_asked_or_another_session_took_it() -> None:
    evaluator = Evaluator()
    assert evaluator.wait(["never asked"], 0)
    assert evaluator.look(["never asked"]) == []
    evaluator.take("never asked")  # and that is no error
    ended(evaluator.ask("a", "model a", lambda show: None))
    evaluator.take("a")
    assert evaluator.wait(["a"], 0)


def test_work_goes_on_when_nobody_looks(slow: Slow) -> None:
    evaluator = Evaluator()
    evaluator.ask("a", "model a", slow)
    slow.released.set()
    wait_until(lambda: evaluator.look(["a"])[0].future.done(), "the work to be done")
    evaluator.take("a")
    assert evaluator.look(["a"]) == []
    assert slow.times == 1
