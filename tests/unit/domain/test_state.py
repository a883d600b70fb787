"""The transition table: what it allows, what it refuses, and that no transfer can get stuck."""

import pytest

from app.domain.state import (
    CANCELLABLE,
    OVER,
    PAUSABLE,
    RETRYABLE,
    RUNNING,
    TRANSITIONS,
    IllegalTransitionError,
    Step,
    TransferState,
    transition,
)

S, E = TransferState, Step


def walk(*steps: Step) -> TransferState:
    state = S.QUEUED
    for step in steps:
        state = transition(state, step)
    return state


@pytest.mark.parametrize(
    "steps, end",
    [
        ((E.START, E.SEND, E.COMPLETE), S.COMPLETED),
        ((E.START, E.SEND, E.ACCEPT, E.COMPLETE), S.COMPLETED),
        ((E.START, E.BACK_OFF, E.REQUEUE, E.START, E.SEND), S.UPLOADING),
        ((E.START, E.SEND, E.FAIL, E.RETRY), S.QUEUED),
        ((E.PAUSE, E.RESUME), S.QUEUED),
        ((E.START, E.SEND, E.PAUSE, E.CANCEL, E.CONFIRM), S.CANCELLED),
        ((E.START, E.SEND, E.CANCEL, E.FINISHED_FIRST), S.COMPLETED),
        ((E.CANCEL, E.UNDO), S.QUEUED),
        ((E.START, E.SEND, E.ACCEPT, E.HAND_OVER, E.COMPLETE), S.COMPLETED),
        ((E.START, E.SEND, E.HAND_OVER, E.CANCEL, E.HAND_OVER), S.PROCESSING),
        ((E.START, E.SEND, E.HAND_OVER, E.FAIL, E.RETRY), S.QUEUED),
        ((E.CANCEL, E.CONFIRM, E.RETRY), S.QUEUED),
        ((E.CANCEL, E.CONFIRM, E.FINISHED_FIRST), S.COMPLETED),
    ],
)
def test_a_journey_ends_where_it_should(steps: tuple[Step, ...], end: TransferState) -> None:
    assert walk(*steps) is end


def test_every_pair_outside_the_table_is_refused() -> None:
    accepted = set()
    for state in S:
        for step in E:
            try:
                transition(state, step)
            except IllegalTransitionError:
                continue
            accepted.add((state, step))
    assert accepted == set(TRANSITIONS)


def test_the_named_sets_say_what_the_table_says() -> None:
    def leaving(step: Step) -> frozenset[TransferState]:
        return frozenset(state for state, taken in TRANSITIONS if taken is step)

    assert (leaving(E.CANCEL), leaving(E.PAUSE), leaving(E.RETRY), leaving(E.BACK_OFF)) == (
        CANCELLABLE,
        PAUSABLE,
        RETRYABLE,
        RUNNING,
    )


def test_every_state_that_is_not_over_can_come_to_an_end() -> None:
    reaches = set(OVER)
    while True:
        more = {state for (state, _), after in TRANSITIONS.items() if after in reaches} - reaches
        if not more:
            break
        reaches |= more
    assert reaches == set(S)


def test_skipped_is_never_left() -> None:
    assert [step for state, step in TRANSITIONS if state is S.SKIPPED] == []
