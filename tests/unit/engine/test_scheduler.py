"""Who goes next: in order, but never small files behind a wall of large ones."""

from app.domain.transfer import Transfer
from app.engine.scheduler import LARGE_BYTES, Lineup


def transfer(name: str, position: int, *, batch: str = "b", large: bool = False) -> Transfer:
    return Transfer(name, batch, position, f"/{name}", name, LARGE_BYTES + 1 if large else 10, 0)


def take_all(
    lineup: Lineup, *, large_running: int = 0, large_allowed: int = 5, busy: tuple[str, ...] = ()
) -> list[str]:
    taken = []
    while chosen := lineup.take(
        large_running=large_running, large_allowed=large_allowed, closed=lambda _: False, busy=busy
    ):
        taken.append(chosen.id)
    return taken


def lined_up(*transfers: Transfer) -> Lineup:
    lineup = Lineup()
    for each in transfers:
        lineup.put(each)
    return lineup


def test_first_come_first_served_over_batches_and_sizes() -> None:
    lineup = lined_up(
        transfer("a", 0), transfer("film", 1, large=True), transfer("c", 2), transfer("d", 0, batch="later")
    )
    assert take_all(lineup) == ["a", "film", "c", "d"]


def test_one_lane_is_kept_for_small_files_even_of_a_later_batch() -> None:
    lineup = lined_up(transfer("film 1", 0, large=True), transfer("note", 0, batch="later"))
    first = lineup.take(large_running=5, large_allowed=5, closed=lambda _: False, busy=())
    assert first is not None
    assert first.id == "note"


def test_without_small_files_large_ones_use_every_lane() -> None:
    lineup = lined_up(transfer("film 1", 0, large=True), transfer("film 2", 1, large=True))
    assert take_all(lineup, large_running=5) == ["film 1", "film 2"]


def test_a_closed_batch_waits_and_the_others_go() -> None:
    lineup = lined_up(transfer("a", 0, batch="closed"), transfer("b", 0, batch="open"))
    chosen = lineup.take(large_running=0, large_allowed=5, closed=lambda batch: batch == "closed", busy=())
    assert (chosen.id if chosen else None, len(lineup)) == ("b", 1)


def test_what_was_taken_out_does_not_go_and_keeps_its_place_when_it_comes_back() -> None:
    first, second = transfer("a", 0), transfer("b", 1)
    lineup = lined_up(first, second)
    lineup.discard(first)
    lineup.put(first)
    assert take_all(lineup) == ["a", "b"]


def test_a_transfer_whose_last_run_is_still_ending_is_not_taken() -> None:
    assert take_all(lined_up(transfer("a", 0)), busy=("a",)) == []


def test_one_that_had_its_turn_goes_before_the_others() -> None:
    lineup = lined_up(transfer("a", 1), transfer("b", 2))
    lineup.put(transfer("again", 0), front=True)
    assert take_all(lineup) == ["again", "a", "b"]


def test_a_dropped_batch_is_gone() -> None:
    lineup = lined_up(transfer("a", 0), transfer("b", 0, batch="other"))
    lineup.drop_batch("b")
    assert take_all(lineup) == ["b"]


def filled(
    lineup: Lineup, *, max_files: int = 10, max_bytes: int = 10**12, busy: tuple[str, ...] = ()
) -> list[str]:
    first = lineup.take(large_running=0, large_allowed=5, closed=lambda _: False, busy=busy)
    assert first is not None
    return [each.id for each in lineup.fill(first, max_files=max_files, max_bytes=max_bytes, busy=busy)]


def test_a_parcel_takes_small_and_large_alike_in_order_and_of_one_batch() -> None:
    lineup = lined_up(
        transfer("a", 0), transfer("film", 1, large=True), transfer("c", 2), transfer("d", 0, batch="later")
    )
    assert (filled(lineup), take_all(lineup)) == (["a", "film", "c"], ["d"])


def test_a_parcel_ends_before_what_does_not_fit() -> None:
    lineup = lined_up(*(transfer(str(number), number) for number in range(5)))
    assert (filled(lineup, max_bytes=25), filled(lineup, max_files=1), take_all(lineup)) == (
        ["0", "1"],
        ["2"],
        ["3", "4"],
    )


def test_what_was_taken_out_or_came_back_is_in_a_parcel_once_or_not_at_all() -> None:
    again, gone = transfer("again", 1), transfer("gone", 2)
    lineup = lined_up(transfer("a", 0), again, gone, transfer("b", 3))
    for each in (again, gone):
        lineup.discard(each)
    lineup.put(again, front=True)
    assert (filled(lineup), take_all(lineup)) == (["again", "a", "b"], [])


def test_a_parcel_waits_for_a_run_that_is_still_ending() -> None:
    lineup = lined_up(transfer("a", 0), transfer("ending", 1), transfer("c", 2))
    assert (filled(lineup, busy=("ending",)), len(lineup)) == (["a"], 2)


def test_who_follows_is_told_and_stays() -> None:
    lineup = lined_up(*(transfer(str(number), number) for number in range(5)))
    assert (
        [each.id for each in lineup.following("b", 3)],
        lineup.length("b"),
        lineup.following("none", 3),
    ) == (
        ["0", "1", "2"],
        5,
        [],
    )
