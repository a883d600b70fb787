"""What the command line prints, on a terminal and elsewhere, with a clock that the test moves."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli_output import Output, id_width, moment_json, printable, progress_line
from app.domain.state import BatchState, TransferState
from tests.unit.test_words import NOW, a_batch

UPLOADING = a_batch(
    BatchState.UPLOADING,
    {TransferState.COMPLETED: 412, TransferState.QUEUED: 228},
    done_bytes=5_200_000_000,
    speed_bps=94e6,
    left_s=(28.0, 34.0),
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ticks:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "name, shown",
    [
        ("plain é 写真", "plain é 写真"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("red\x1b[31m", "red\\x1b[31m"),
        ("bad\udcff", "bad\\xff"),
        ("half\ud83d", "half\\ud83d"),
        ("right\u202eleft", "right\\u202eleft"),
        ("family 👨\u200d👩", "family 👨\u200d👩"),
    ],
)
def test_no_name_leads_a_terminal_astray(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(st.characters()))
def test_any_name_is_one_line_that_can_be_encoded(name: str) -> None:
    shown = printable(name)
    assert (len(shown.encode().splitlines()) <= 1, "\x1b" in shown, "\r" in shown) == (True, False, False)


@given(st.text(st.characters()))
def test_any_json_is_valid_and_has_no_half_characters(name: str) -> None:
    stdout = io.StringIO()
    Output(stdout, io.StringIO(), as_json=True, quiet=False).result({"name": [name]}, [])
    (found,) = json.loads(stdout.getvalue())["name"]
    assert (len(found), found.encode().decode()) == (len(name), found)


def test_the_progress_line() -> None:
    assert progress_line([UPLOADING], NOW) == (
        "Holiday 2026  64 %  5.2 GB of 8.1 GB  412 / 640 files  94.0 MB/s  ~30 s left"
    )


def test_a_server_that_is_away_is_in_the_progress_line() -> None:
    waiting = a_batch(
        BatchState.WAITING, {TransferState.WAITING: 2}, done_bytes=0, total_bytes=10, retry_at=NOW + 40
    )
    assert (
        progress_line([waiting], NOW) == "Holiday 2026  0 %  0 B of 10 B  0 / 2 files  Trying again in 40 s"
    )


def test_on_a_terminal_one_line_stays_in_place_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    clock, terminal, stdout = Ticks(), Terminal(), io.StringIO()
    output = Output(stdout, terminal, as_json=False, quiet=False, clock=clock)
    for clock.now in (0.0, 0.1, 0.2):
        output.progress([UPLOADING], NOW)
    output.result({}, ["done"])
    shown = progress_line([UPLOADING], NOW)[:79]
    wiped = f"\r{' ' * len(shown)}\r"
    assert (terminal.getvalue(), stdout.getvalue()) == (f"\r{shown}\r{shown}{wiped}", "done\n")


def test_elsewhere_a_plain_line_every_five_seconds() -> None:
    clock, stderr = Ticks(), io.StringIO()
    output = Output(io.StringIO(), stderr, as_json=False, quiet=False, clock=clock)
    for clock.now in (0.0, 4.9, 5.0, 5.1, 9.9, 10.0):
        output.progress([UPLOADING], NOW)
    assert stderr.getvalue() == f"{progress_line([UPLOADING], NOW)}\n" * 2


def test_quiet_says_nothing_but_the_error() -> None:
    clock, stderr = Ticks(), Terminal()
    output = Output(io.StringIO(), stderr, as_json=False, quiet=True, clock=clock)
    output.progress([UPLOADING], NOW)
    output.say("a note")
    output.error("usage", "No.")
    assert stderr.getvalue() == "uphaul: No.\n"


def test_moments_are_utc_with_z() -> None:
    assert (moment_json(1_800_000_000.5), moment_json(None)) == ("2027-01-15T08:00:00.500Z", None)


@pytest.mark.parametrize(
    "ids, width",
    [
        ([], 8),
        (["0123456789"], 8),
        (["0123456789", "0123456789"], 8),
        (["0000000011", "1000000011"], 8),
        (["0123456789ab", "f", "0123456780ab"], 10),
    ],
)
def test_so_much_of_an_id_is_shown_as_tells_it_from_all_others(ids: list[str], width: int) -> None:
    assert id_width(ids) == width
