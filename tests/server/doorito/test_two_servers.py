"""Two servers on one DATA: parts and ends of one session by either, at once; one file, one event, nothing left behind."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.consistency import contradictions
from tests.support.doorito_client import Doorito, HeldPart, WebhookReceiver, parts_on_disk
from tests.support.server import ServerProcess
from tests.support.waiting import eventually

KIB = 1024
MIB = 1024 * KIB
SESSIONS = 12
TRIES = 200
Pair = tuple[ServerProcess, ServerProcess]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Takes the events of both servers."""
    with WebhookReceiver() as hook:
        yield hook


@pytest.fixture
def pair(tmp_path: Path, receiver: WebhookReceiver) -> Iterator[Pair]:
    """Two processes on one DATA; neither may have complained at the end."""
    options = ("--rate-limits", "off", "--webhook-url", receiver.url)
    one = ServerProcess(tmp_path, *options)
    with one, ServerProcess(tmp_path, *options, token=one.token) as two:
        yield one, two
    assert [line for line in (one.log + two.log).splitlines() if "level=INFO" not in line] == []


def until_it_is_free(ask: httpx.Response, again: Doorito, session: str) -> httpx.Response:
    """Finalize until no other server is at it, as `Retry-After` says, only sooner."""
    for _ in range(TRIES):
        if ask.status_code != 423:
            break
        time.sleep(0.02)
        ask = again.finalize(session)
    return ask


def put_and_finalize(pair: Pair, session: str, content: bytes, chunk: int) -> list[tuple[int, str]]:
    """Bring every part to both servers at once, then end the session at both at once, with a late part; return what the ends answered."""
    pieces = list(enumerate((content[at : at + chunk] for at in range(0, len(content), chunk)), 1))

    def put(job: tuple[ServerProcess, int, bytes]) -> int:
        with Doorito(job[0], job[0].token) as client:
            return client.put(session, job[1], job[2]).status_code

    def end(server: ServerProcess) -> tuple[int, str]:
        with Doorito(server, server.token) as client:
            answer = until_it_is_free(client.finalize(session), client, session)
            return answer.status_code, answer.json().get("file", {}).get("sha256", answer.text)

    with ThreadPoolExecutor(8) as pool:
        puts = list(pool.map(put, [(server, number, piece) for number, piece in pieces for server in pair]))
        assert set(puts) == {200}
        late = [pool.submit(put, (server, *pieces[0])) for server in pair]
        ends = list(pool.map(end, [*pair, *pair]))
        assert {one.result() for one in late} <= {200, 409, 423}
        return ends


def events(data_dir: Path) -> Counter[str]:
    """Count the events in the database by their file."""
    with closing(sqlite3.connect(data_dir / "server.sqlite3")) as database:
        return Counter(row[0] for row in database.execute("SELECT file_id FROM outbox"))


def test_parts_and_ends_at_both_at_once_make_one_file_and_one_event_each(
    pair: Pair, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    dice = random.Random(8)
    with Doorito(pair[0], pair[0].token) as client:
        batch = client.batch(name="Two")
        contents = [dice.randbytes(900 * KIB + number) for number in range(SESSIONS)]
        sessions = [client.session(len(one), 300 * KIB, batch_id=batch) for one in contents]
        with ThreadPoolExecutor(4) as pool:
            ends = list(
                pool.map(
                    lambda one: put_and_finalize(pair, one[0], one[1], 300 * KIB),
                    zip(sessions, contents, strict=True),
                )
            )
        eventually(lambda: len(receiver.bodies), lambda number: number >= SESSIONS)
        eventually(lambda: parts_on_disk(tmp_path), lambda found: found == [])
        counts = client.counts(batch)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    stored = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "files/Two").iterdir()]
    told = [body["file"]["sha256"] for body in receiver.bodies]
    assert ends == [[(200, digest)] * 4 for digest in digests]
    assert (counts, sorted(stored), sorted(told)) == (
        (SESSIONS, SESSIONS, 0, 0),
        sorted(digests),
        sorted(digests),
    )
    assert (set(events(tmp_path).values()), parts_on_disk(tmp_path), contradictions(pair[0])) == ({1}, [], [])


def test_other_bytes_for_one_part_at_the_other_server_are_409(pair: Pair) -> None:
    with Doorito(pair[0], pair[0].token) as one, Doorito(pair[1], pair[1].token) as two:
        session = one.session(6, 3)
        seen = [one.put(session, 1, b"abc"), two.put(session, 1, b"abd"), two.put(session, 1, b"abc")]
        status = one.status(session)
    assert ([each.status_code for each in seen], status["received_parts"]) == ([200, 409, 200], [1])


def test_a_cancel_at_one_ends_the_part_that_arrives_at_the_other(pair: Pair, tmp_path: Path) -> None:
    with Doorito(pair[0], pair[0].token) as one, Doorito(pair[1], pair[1].token) as two:
        session = one.session(2 * MIB, MIB)
        with HeldPart(two, session, 1, b"a" * 10, b"a" * (MIB - 10)) as held:
            eventually(lambda: len(parts_on_disk(tmp_path)), lambda number: number == 2)
            cancelled = one.cancel(session)
            left = parts_on_disk(tmp_path)
            answer = held.let_go()
        after = [one.put(session, 2, b"b" * MIB), two.put(session, 2, b"b" * MIB), two.finalize(session)]
        eventually(lambda: parts_on_disk(tmp_path), lambda found: found == [])
    assert (cancelled.status_code, left, answer) == (200, [], 409)
    assert [each.status_code for each in after] == [409, 409, 409]


def test_what_a_dead_server_had_begun_to_assemble_the_other_finishes(
    tmp_path: Path, pair: Pair, receiver: WebhookReceiver
) -> None:
    one, two = pair
    content = random.Random(9).randbytes(MIB) * 96
    with Doorito(one, one.token) as client, ThreadPoolExecutor(1) as pool:
        session = client.uploaded(content, 16 * MIB)
        end = pool.submit(client.finalize, session)
        eventually(
            lambda: end.done() or any(path.stat().st_size for path in one.partials_dir.iterdir()), bool
        )
        one.kill()
        assert end.exception(10) is not None or end.result().status_code == 200
    with Doorito(two, two.token) as client:
        answer = until_it_is_free(client.finalize(session), client, session)
        eventually(lambda: len(receiver.bodies), lambda number: number == 1)
        again = client.finalize(session)
    assert answer.json()["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (again.json(), set(events(tmp_path).values()), parts_on_disk(tmp_path)) == (answer.json(), {1}, [])
