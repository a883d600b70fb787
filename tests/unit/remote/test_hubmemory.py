"""How long a file of a Hub stays in doubt, and which image is whose."""

from dataclasses import replace

from app.remote.account import ForgetfulNotes
from app.remote.base import Outgoing
from app.remote.hubfields import Kind, Picture, RemoteId
from app.remote.hubmemory import Claims, Doubts
from tests.support.clock import TestClock

A, B = (Outgoing(key, f"{key}/x.png", 3, 0, None, None, "project", 1_000_000.0) for key in "ab")


def turn(clock: TestClock, seconds: float) -> None:
    clock._now += seconds


def test_a_doubt_ends_by_itself_and_begins_again_while_more_comes() -> None:
    clock = TestClock(1_000_000.0)
    doubts = Doubts(clock.now, settle_s=6, video_settles_s=600)
    left = [doubts.left_s([A, B])]
    doubts.add(["a", "b"], 30)
    for seconds, again in ((20, ""), (5, "a"), (6, ""), (24, ""), (30, "a")):
        turn(clock, seconds)
        doubts.again(again)
        left.append(doubts.left_s([A, B]))
    assert [round(each) for each in left] == [0, 10, 30, 24, 0, 30]


def test_what_an_earlier_run_of_the_program_began_is_in_doubt_for_a_moment() -> None:
    clock = TestClock(1_000_010.0)
    doubts = Doubts(clock.now, settle_s=6, video_settles_s=600)
    video, new = replace(A, relative_path="x.mp4"), replace(A, begun_at=1_000_011.0)
    before = doubts.left_s([A]), doubts.left_s([video]), doubts.left_s([new])
    turn(clock, 7)
    assert [round(each) for each in before] == [6, 600, 0]
    assert (doubts.left_s([A]) <= 0, round(doubts.left_s([video]))) == (True, 593)


def test_an_image_is_one_files() -> None:
    claims = Claims(ForgetfulNotes())
    claims.claim("a", RemoteId("project", Kind.IMAGE, "1"))
    before = claims.of("a"), claims.is_free(Picture("1", "x.png", 3, 0.0))
    claims.drop(RemoteId("project", Kind.IMAGE, "1"))
    assert before == (RemoteId("project", Kind.IMAGE, "1"), False)
    assert (claims.of("a"), claims.is_free(Picture("1", "x.png", 3, 0.0))) == (None, True)


def test_across_restarts_only_twins_and_found_ones_are_kept() -> None:
    notes = ForgetfulNotes()
    claims = Claims(notes)
    claims.begin([A, B])
    claims.claim("a", RemoteId("project", Kind.IMAGE, "twin"))
    claims.end("ab")
    claims.claim("a", RemoteId("project", Kind.IMAGE, "alone"))
    claims.claim("c", RemoteId("project", Kind.VIDEO, "found"), was_found=True)
    again = Claims(notes)
    assert [again.is_free(Picture(each, "", 0, 0.0)) for each in ("twin", "alone", "found")] == [
        False,
        True,
        False,
    ]
    assert again.of("c") == RemoteId("project", Kind.VIDEO, "found")
