"""What a person sees of Doorito as it is today, a form without an API: the whole engine before the fake of the real server."""

from pathlib import Path

import pytest

from app.domain.batch import Batch
from app.domain.failure import FailureKind, TransferError
from app.domain.state import BatchState, CancelEnding, TransferState
from app.remote.account import Account, Endpoint
from app.remote.base import Abilities
from app.remote.doorito_form import LARGEST_BYTES, FormLine, Results, read_results
from tests.support.clock import until
from tests.support.doorito_form_server import FakeDooritoForm
from tests.support.doorito_sender import form_house_of, told
from tests.support.engine_house import House, make_files

S, E, K = TransferState, CancelEnding, FailureKind
NOTHING_STORED = "Cancelled here only: this server has no cancel. Nothing had been stored."
FOR_A_DAY = "Arrived. This server deletes it after 24 hours."
NOBODY_KNOWS = (
    "Nobody can know whether it arrived: the answer was lost, and this server cannot be asked. "
    "Look on the server, then retry to send it again."
)


async def dropped(house: House, folder: Path, sizes: list[int]) -> Batch:
    make_files(folder, sizes)
    batch = house.drop(folder)
    await until(lambda: not batch.scanning)
    return batch


def line_to(form: FakeDooritoForm, password: str | None = None) -> FormLine:
    return FormLine(Account(Endpoint(form.url, user=form.user, password=password or form.password)))


async def greeted(line: FormLine) -> Abilities:
    server = line.connect()
    try:
        return await server.greet()
    finally:
        await server.aclose()


# Sign in


async def test_a_greeting_logs_in_as_a_browser_does(form: FakeDooritoForm) -> None:
    line = line_to(form)
    assert await greeted(line) == Abilities(max_size_bytes=LARGEST_BYTES, max_files=10)
    form.logs_out()
    assert await greeted(line) == Abilities(max_size_bytes=LARGEST_BYTES, max_files=10)


async def test_a_wrong_password_is_said(form: FakeDooritoForm) -> None:
    with pytest.raises(TransferError) as caught:
        await greeted(line_to(form, "wrong"))
    assert caught.value.failure.is_wrong_password


@pytest.mark.parametrize(
    "method, fault, kind",
    [
        ("GET", "page_not_found", K.NOT_A_SERVER),
        ("GET", "portal", K.NOT_A_SERVER),
        ("GET", "bad_gateway", K.BUSY),
        ("POST", "forbidden", K.FORBIDDEN),
        ("POST", "server_error", K.SERVER_ERROR),
    ],
)
async def test_a_login_that_cannot_be_is_no_wrong_password(
    form: FakeDooritoForm, method: str, fault: str, kind: FailureKind
) -> None:
    form.fail_next(method, "/app/login/", fault)
    with pytest.raises(TransferError) as caught:
        await greeted(line_to(form))
    assert caught.value.failure.kind is kind


async def test_a_wrong_password_keeps_the_queue_waiting(form: FakeDooritoForm, tmp_path: Path) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, "wrong") as house:
        batch = await dropped(house, tmp_path / "Photos", [10] * 3)
        await house.reach(batch, S.WAITING, 3)
        row = house.rows(batch)["f0"]
        seen = row.failure and row.failure.kind, row.begun_at
    assert (seen, form.posts) == ((K.SIGN_IN, None), [])


# Bytes


async def test_a_folder_arrives_ten_at_a_time_in_order(form: FakeDooritoForm, tmp_path: Path) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [0, *range(10, 33)])
        await house.over(batch)
        assert set(told(house, batch).values()) == {(S.COMPLETED, FOR_A_DAY)}
    assert (len(form.stored()), sorted(map(len, form.posts))) == (24, [4, 10, 10])
    assert [names for names in form.posts if "f0" in names] == [
        [f"f{n}" for n in (0, 1, 10, 11, 12, 13, 14, 15, 16, 17)]
    ]


async def test_names_arrive_as_they_are_and_twins_are_told_apart(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    """There are no ids: the answers are matched by their order, and the names in them are escaped."""
    names = ["Łódź & 日本 😀.txt", "a<b>'c.txt", "same.txt"]
    for folder, content in (("1", b"12345"), ("2", b"1234567")):
        (tmp_path / "Photos" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "Photos" / folder / name).write_bytes(content)
    form.takes_at_most(6)
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: not batch.scanning)
        await house.over(batch)
        seen = {(t.relative_path.split("/")[-2], t.state) for t in house.engine.book.members[batch.id]}
    assert seen == {("1", S.COMPLETED), ("2", S.FAILED)}
    assert sorted(name for name, _ in form.files) == sorted(names)


async def test_what_the_server_makes_of_a_name_is_said(form: FakeDooritoForm, tmp_path: Path) -> None:
    """Django reads HTML's references in names, takes what is after a backslash, and drops what cannot be printed."""
    folder = tmp_path / "Photos"
    folder.mkdir()
    for name in (
        "a&amp;b.txt",
        'say "hi" &lt.txt',
        "in\\out.txt",
        "new\nline.txt",
        "\u202eback.txt",
        "two  ones.txt",
    ):
        (folder / name).write_bytes(b"12345")
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = house.drop(folder)
        await until(lambda: not batch.scanning)
        await house.over(batch)
        seen = {name: words for name, (_, words) in told(house, batch).items() if words != FOR_A_DAY}
    assert seen == {
        name: f"Arrived, stored as {stored}. This server deletes it after 24 hours."
        for name, stored in (
            ("in\\out.txt", "out.txt"),
            ("new\nline.txt", "new%0Aline.txt"),
            ("\u202eback.txt", "back.txt"),
        )
    }
    assert {name for name, _ in form.files} >= {"a&amp;b.txt", 'say "hi" &lt.txt', "two  ones.txt"}


@pytest.mark.parametrize("name", ["end\\", "dots\\..", "\u202e"])
async def test_a_name_of_which_nothing_is_left_is_never_sent(
    form: FakeDooritoForm, tmp_path: Path, name: str
) -> None:
    """The server leaves such a file out without a word, and then no line of its answer can be believed."""
    make_files(tmp_path / "Photos", [10])
    (tmp_path / "Photos" / name).write_bytes(b"12345")
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = house.drop(tmp_path / "Photos")
        await until(lambda: not batch.scanning)
        await house.over(batch)
        seen = told(house, batch)
    assert seen == {
        "f0": (S.COMPLETED, FOR_A_DAY),
        name: (
            S.FAILED,
            "The server does not accept this name: nothing is left of the name at this server. "
            "Rename the file and drop it again.",
        ),
    }


async def test_three_hundred_files_arrive_in_thirty_forms(form: FakeDooritoForm, tmp_path: Path) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [100 + n for n in range(300)])
        await house.over(batch)
        assert house.view(batch).state is BatchState.COMPLETED
    assert (len(form.stored()), len(form.posts)) == (300, 30)


async def test_what_is_too_large_is_never_sent(form: FakeDooritoForm, tmp_path: Path) -> None:
    """The real one writes it to its disk, refuses it then, and keeps a row of it."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        folder = tmp_path / "Photos"
        make_files(folder, [10])
        with (folder / "large").open("wb") as large:
            large.truncate(LARGEST_BYTES + 1)
        batch = house.drop(folder)
        await until(lambda: not batch.scanning)
        await house.over(batch)
        seen = told(house, batch)
    assert seen["large"][1].startswith("Too large for this server (limit 52.4 MB).")
    assert (seen["f0"][0], form.posts) == (S.COMPLETED, [["f0"]])


async def test_a_smaller_limit_of_the_server_is_said_in_its_words(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    form.takes_at_most(10)
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10, 11])
        await house.over(batch)
        seen = told(house, batch)
    assert seen == {
        "f0": (S.COMPLETED, FOR_A_DAY),
        "f1": (
            S.FAILED,
            "The server did not accept the file: File size 11 bytes exceeds maximum of 10 bytes. "
            "Change what it names, then retry.",
        ),
    }


async def test_a_form_with_too_many_files_is_halved(form: FakeDooritoForm, tmp_path: Path) -> None:
    """answers_too_many: nothing of it was stored, and no file fails for it."""
    form.answers_too_many(4)
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10] * 9)
        await house.over(batch)
        assert set(told(house, batch).values()) == {(S.COMPLETED, FOR_A_DAY)}
    assert (len(form.stored()), max(map(len, form.posts))) == (9, 4)


async def test_an_error_of_the_whole_form_is_said_of_each_file(form: FakeDooritoForm, tmp_path: Path) -> None:
    form.takes_nothing()
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10] * 2)
        await house.over(batch)
        words = {words for _, words in told(house, batch).values()}
    assert words == {
        "The server did not accept the file: No files selected. Change what it names, then retry."
    }


async def test_stored_is_not_kept(form: FakeDooritoForm, tmp_path: Path) -> None:
    """deletes_after_a_day: it was said when the file arrived."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.over(batch)
        form.deletes_after_a_day()
        assert (told(house, batch)["f0"][1], form.stored()) == (FOR_A_DAY, {})


# Sessions that end, forms that are taken for forged


@pytest.mark.parametrize("quirk", ["logs_out", "refuses_csrf"])
async def test_a_session_that_ended_is_begun_anew_and_nothing_is_sent_twice(
    form: FakeDooritoForm, tmp_path: Path, quirk: str
) -> None:
    """302 to the login, or 403: whoever answers so has stored nothing."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "One", [10])
        await house.over(batch)
        getattr(form, quirk)()
        make_files(tmp_path / "Two", [500_000, 21, 22])
        batch = house.drop(tmp_path / "Two", name="Two")
        await until(lambda: not batch.scanning)
        await house.over(batch)
        assert set(told(house, batch).values()) == {(S.COMPLETED, FOR_A_DAY)}
    assert (form.posts, form.requests.count("POST /app/login/")) == ([["f0"], ["f0", "f1", "f2"]], 2)


async def test_a_form_that_is_always_taken_for_forged_is_said(form: FakeDooritoForm, tmp_path: Path) -> None:
    form.refuses_csrf(9)
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        words = told(house, batch)["f0"][1]
        form.refuses_csrf(0)
        house.engine.open_gate("profile")
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert words.startswith(
        "Your account may not upload to this server (403): it does not take the form right after a login (CSRF)."
    )


@pytest.mark.parametrize(
    "fault, start",
    [
        ("token_revoked", "Arrived."),
        ("page_not_found", "No upload server answers at this address (404)."),
        ("wrong_offset", "The server and Uphaul did not agree on how the file stands (409): Elsewhere."),
        ("rate_limited", "The server is busy (429): Slow down."),
        ("forbidden", "Your account may not upload to this server (403): Not you."),
        ("nginx_400", "The server did not accept the file (400)."),
    ],
)
async def test_a_refusal_of_the_form_as_such_has_stored_nothing(
    form: FakeDooritoForm, tmp_path: Path, fault: str, start: str
) -> None:
    """So it may be sent again, by itself or by a person, and arrives once."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.fail_next("POST", "/app/upload/", fault)
        batch = await dropped(house, tmp_path / "Photos", [10])
        await until(lambda: house.states(batch)["f0"] in (S.COMPLETED, S.FAILED, S.WAITING))
        words = told(house, batch)["f0"][1]
        house.engine.open_gate("profile")
        await house.engine.again.retry(house.engine.book.members[batch.id])
        if house.clock.sleepers:
            await house.clock.advance(61)
        await house.over(batch)
        assert house.states(batch) == {"f0": S.COMPLETED}
    assert (words.startswith(start), form.posts) == (True, [["f0"]]), words


# Lost answers: nobody can know


async def test_a_lost_answer_is_never_repeated_blindly(form: FakeDooritoForm, tmp_path: Path) -> None:
    """loses_the_answer: the files fail with plain words; a person who retries has them sent again."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.fail_next("POST", "/app/upload/", "loses_the_answer")
        batch = await dropped(house, tmp_path / "Photos", [10, 11])
        await house.reach(batch, S.WAITING, 2)
        await house.clock.advance(2)
        await house.over(batch)
        seen, posts = told(house, batch), len(form.posts)
        await house.engine.again.retry(house.engine.book.members[batch.id])
        await house.over(batch)
        assert set(told(house, batch).values()) == {(S.COMPLETED, FOR_A_DAY)}
    assert seen == dict.fromkeys(("f0", "f1"), (S.FAILED, NOBODY_KNOWS))
    assert (posts, len(form.posts)) == (1, 2)


async def test_a_program_that_was_killed_before_the_answer_does_not_know_either(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.fail_next("POST", "/app/upload/", "loses_the_answer")
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        await house.over(house.batch)
        assert told(house, house.batch) == {"f0": (S.FAILED, NOBODY_KNOWS)}
    assert len(form.posts) == 1


async def test_another_page_in_the_place_of_the_answer_says_nothing(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    form.says_nothing_of_files()
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.over(batch)
        words = told(house, batch)["f0"][1]
    assert words == (
        "Nobody can know whether it arrived: the server did not say what became of it. "
        "Look on the server, then retry to send it again."
    )


@pytest.mark.parametrize("fault", ["server_error", "bad_gateway", "silent_end"])
async def test_an_error_after_the_whole_form_leaves_it_open(
    form: FakeDooritoForm, tmp_path: Path, fault: str
) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.fail_next("POST", "/app/upload/", {"silent_end": "hangs_up"}.get(fault, fault))
        batch = await dropped(house, tmp_path / "Photos", [10])
        await house.reach(batch, S.WAITING)
        await house.clock.advance(2)
        await house.over(batch)
        assert told(house, batch) == {"f0": (S.FAILED, NOBODY_KNOWS)}


async def test_a_form_that_was_cut_in_its_middle_is_sent_again(form: FakeDooritoForm, tmp_path: Path) -> None:
    """Of a form that did not arrive whole nothing is stored, so that this is known."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.stops_reading()
        batch = await dropped(house, tmp_path / "Photos", [30_000_000])
        await form.body_arrives.wait()
        await form.restart()
        form.reads_again()
        await house.reach(batch, S.WAITING)
        await house.clock.advance(2)
        await house.over(batch)
        assert told(house, batch) == {"f0": (S.COMPLETED, FOR_A_DAY)}
    assert form.posts == [["f0"]]


@pytest.mark.parametrize("after_s, forms", [(1, [["f0", "f1"]]), (30, [["f0"], ["f1"]])])
async def test_a_worker_that_is_ended_in_the_middle_has_stored_nothing(
    form: FakeDooritoForm, tmp_path: Path, after_s: int, forms: list[list[str]]
) -> None:
    """A form that took too long goes in halves; one that broke off soon goes again as it was."""
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.stops_reading()
        form.ends_its_worker()
        batch = await dropped(house, tmp_path / "Photos", [15_000_000] * 2)
        await form.body_arrives.wait()
        house.clock.turn(after_s)
        form.reads_again()
        await until(lambda: bool(house.clock.sleepers) or len(form.posts) == 2)
        if house.clock.sleepers:
            await house.clock.advance(2)
        await house.over(batch)
        assert set(told(house, batch).values()) == {(S.COMPLETED, FOR_A_DAY)}
    assert sorted(form.posts) == forms


# Cancel: there is none


async def test_a_cancel_in_the_middle_leaves_nothing_and_the_others_go(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.stops_reading()
        batch = await dropped(house, tmp_path / "Photos", [30_000_000, 20])
        await form.body_arrives.wait()
        house.engine.cancel(batch, [house.rows(batch)["f0"]])
        form.reads_again()
        await house.over(batch)
        seen = told(house, batch)
    assert seen == {
        "f0": (S.CANCELLED, NOTHING_STORED),
        "f1": (S.COMPLETED, FOR_A_DAY),
    }
    assert form.posts == [["f1"]]


async def test_a_cancel_after_the_last_byte_says_that_there_is_no_cancel(
    form: FakeDooritoForm, tmp_path: Path
) -> None:
    async with form_house_of(tmp_path / "home", form.url, form.user, form.password) as house:
        form.answers_late()
        batch = await dropped(house, tmp_path / "Photos", [10, 20])
        await until(lambda: len(form.posts) == 1)
        house.engine.cancel(batch)
        await until(lambda: batch.ending is not None)
        seen = {
            (row.ending, words)
            for row, (_, words) in zip(house.rows(batch).values(), told(house, batch).values(), strict=True)
        }
    assert seen == {
        (
            E.HERE_ONLY,
            "Cancelled here only: this server has no cancel, so what had arrived may stay there for a while.",
        )
    }


def test_the_fragment_is_read_by_its_colours() -> None:
    html = """
      <div><h3>Upload Results <span class="ml-2 text-warning-600">1 stored, 1 failed</span></h3></div>
      <ul><li><svg class="w-4
          text-success-500"><path d="M9" /></svg><span>text-danger &lt;a&gt;.txt</span><div>10 bytes</div></li>
      <li><svg class="text-danger-500"><path /></svg><span>b</span>
        <div> <span class="text-danger-500">File &amp; size
          too large.</span></div></li></ul>"""
    page = read_results(html)
    assert [(line.is_stored, line.text) for line in page.lines] == [
        (True, ""),
        (False, "File & size too large."),
    ]
    assert read_results("<p>Hello</p>") == Results()
    assert (
        read_results('<div class="text-danger-700"> No files selected. </div>').error == "No files selected."
    )
