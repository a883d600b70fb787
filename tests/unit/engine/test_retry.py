"""When to try again, and how a server's gate closes and opens."""

import pytest

from app.domain.events import Link
from app.domain.failure import Failure, FailureKind
from app.domain.transfer import Transfer
from app.engine.gates import Gate
from app.engine.retry import FILE_DELAYS_S, GATE_DELAYS_S, file_delay_s, gate_delay_s

K = FailureKind


def test_delays_of_one_file_grow_and_end() -> None:
    failure = Failure(K.CONNECTION_LOST)
    delays = [file_delay_s(failure, attempts) for attempts in range(1, len(FILE_DELAYS_S) + 2)]
    assert delays == [*FILE_DELAYS_S, None]


def test_what_cannot_get_better_is_not_tried_again() -> None:
    assert file_delay_s(Failure(K.FILE_GONE), 1) is None


@pytest.mark.parametrize(
    "failure, tries, expected",
    [
        (Failure(K.UNREACHABLE), 1, GATE_DELAYS_S[0]),
        (Failure(K.UNREACHABLE), 99, GATE_DELAYS_S[-1]),
        (Failure(K.BUSY, retry_after_s=40.0), 1, 40.0),
        (Failure(K.BUSY, retry_after_s=0.0), 1, 1.0),
        (Failure(K.DISK_FULL), 1, 60.0),
        (Failure(K.SIGN_IN), 1, None),
    ],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks(
    failure: Failure, tries: int, expected: float | None
) -> None:
    assert gate_delay_s(failure, tries) == expected


def test_six_transfers_that_meet_the_same_failure_count_as_one_try() -> None:
    gate = Gate()
    times = {gate.close(Failure(K.UNREACHABLE), now=100.0 + number / 100) for number in range(6)}
    assert (times, gate.tries) == ({101.0}, 1)


def test_a_gate_opens_for_those_who_waited_and_remembers_how_often_it_was_tried() -> None:
    gate = Gate()
    waiting = Transfer("a", "b", 0, "/a", "a", 1, 0)
    gate.close(Failure(K.UNREACHABLE), now=100.0)
    gate.waiting[waiting.id] = waiting
    assert (gate.open(), gate.closed, gate.close(Failure(K.UNREACHABLE), now=200.0)) == (
        [waiting],
        False,
        202.0,
    )


def test_a_server_that_wants_a_sign_in_waits_for_a_person() -> None:
    gate = Gate()
    assert (gate.close(Failure(K.SIGN_IN), now=1.0), gate.link, gate.closed) == (None, Link.SIGN_IN, True)


def test_an_answer_makes_the_next_delay_short_again() -> None:
    gate = Gate()
    for now in (0.0, 10.0, 20.0):
        gate.close(Failure(K.UNREACHABLE), now)
        gate.open()
    gate.answered()
    assert gate.close(Failure(K.UNREACHABLE), now=100.0) == 101.0


def test_what_still_arrives_does_not_hide_that_the_server_is_full() -> None:
    gate = Gate()
    gate.close(Failure(K.DISK_FULL), now=0.0)
    gate.answered()
    assert (gate.troubled, gate.link) == (True, Link.WAITING)
