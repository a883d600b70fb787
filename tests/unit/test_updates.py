"""The check for updates against a real server, with keys made here: what is believed, what is refused, and in which words."""

import asyncio
import base64
import hashlib
import json
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import minisign
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import resources
from app import updates
from app.settings import Settings
from app.update_file import FILE_NAME, Newer, Newest, Outcome, Refused, Unknown, Why, order, release_from
from app.update_words import outcome_text, release_lines
from tests.support.canned_server import Canned, CannedServer, page

NOW = datetime(2026, 12, 2, 12, 0, tzinfo=UTC)
COMMENT = f"timestamp:1796119200\tfile:{FILE_NAME}\thashed"
SUM = hashlib.sha256(b"a package").hexdigest()
FILE = {
    "version": "0.2.0",
    "date": "2026-12-01T10:00:00Z",
    "notes": "Faster.\nA cancel can be undone.",
    "downloads": [
        {
            "system": "linux-deb",
            "url": "https://a.example/uphaul.deb",
            "sha256": SUM,
            "size_bytes": 40_000_000,
        }
    ],
    "something_later": 1,
}


def key() -> tuple[minisign.SecretKey, str]:
    """A new key: the secret half, and the public one as minisign prints it."""
    pair = minisign.KeyPair.generate()
    return pair.secret_key, pair.public_key.to_base64().decode()


SECRET, PUBLIC = key()


def signed(
    content: str, secret: minisign.SecretKey = SECRET, *, comment: str = COMMENT, prehash: bool = True
) -> str:
    """The .minisig of *content*."""
    return bytes(secret.sign(content.encode(), prehash=prehash, trusted_comment=comment)).decode()


@dataclass
class Publisher:
    """What lies at the address; by default all is well."""

    value: Mapping[str, Any] = field(default_factory=lambda: FILE)
    comment: str = COMMENT
    prehash: bool = True

    def answers(self) -> dict[tuple[str, str], Canned]:
        content = json.dumps(self.value)
        signature = signed(content, comment=self.comment, prehash=self.prehash)
        return {
            ("GET", "/feed/u.json"): Canned(200, content),
            ("GET", "/feed/u.json.minisig"): Canned(200, signature),
        }


async def ask(
    answers: Mapping[tuple[str, str], Canned],
    memory: Path,
    *,
    running: str = "0.1.0",
    public: str = PUBLIC,
    patience_s: float = 20,
) -> Outcome:
    """Check once against a server with these answers."""
    async with CannedServer(answers) as server:
        settings = Settings(update_url=f"{server.url}/feed/u.json", update_key=public)
        return await updates.check(settings, memory, NOW, running=running, patience_s=patience_s)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "data" / "updates.json"


def why(outcome: Outcome) -> tuple[Why | None, str]:
    return outcome.why if isinstance(outcome, Unknown) else None, outcome_text(outcome)


@pytest.mark.parametrize("prehash", [True, False], ids=["hashed", "legacy"])
async def test_a_newer_version_is_told_with_its_notes_and_sums(memory: Path, prehash: bool) -> None:
    outcome = await ask(Publisher(prehash=prehash).answers(), memory)
    assert isinstance(outcome, Newer)
    assert [outcome_text(outcome), *release_lines(outcome.release)] == [
        "Version 0.2.0 of 2026-12-01 is there.",
        "Faster.",
        "A cancel can be undone.",
        "",
        "linux-deb, 40.0 MB: https://a.example/uphaul.deb",
        f"SHA-256 {SUM}",
    ]


async def test_the_running_version_is_the_newest(memory: Path) -> None:
    outcome = await ask(Publisher().answers(), memory, running="0.2.0")
    assert (isinstance(outcome, Newest), outcome_text(outcome)) == (
        True,
        "This is the newest version, 0.2.0 of 2026-12-01.",
    )


async def test_what_was_changed_after_it_was_signed_is_refused_and_leaves_no_trace(memory: Path) -> None:
    answers = Publisher().answers()
    answers["GET", "/feed/u.json"] = Canned(200, json.dumps(FILE).replace("0.2.0", "9.9.9"))
    assert (why(await ask(answers, memory)), memory.exists()) == (
        (
            Why.TAMPERED,
            "What the address for updates sent was changed after it was signed. It is not believed.",
        ),
        False,
    )


async def test_a_changed_trusted_comment_is_refused(memory: Path) -> None:
    answers = Publisher(comment="timestamp:1\tfile:SHA256SUMS").answers()
    body = answers["GET", "/feed/u.json.minisig"].body.replace("SHA256SUMS", FILE_NAME)
    answers["GET", "/feed/u.json.minisig"] = Canned(200, body)
    assert why(await ask(answers, memory))[0] is Why.TAMPERED


async def test_a_signature_that_was_made_for_another_file_is_refused(memory: Path) -> None:
    outcome = await ask(Publisher(comment="timestamp:1\tfile:SHA256SUMS").answers(), memory)
    assert why(outcome) == (
        Why.OTHER_FILE,
        "The signature at the address for updates was made for another file. It is not believed.",
    )


async def test_a_signature_of_another_key_is_refused(memory: Path) -> None:
    assert why(await ask(Publisher().answers(), memory, public=key()[1]))[0] is Why.OTHER_KEY


async def test_another_key_that_pretends_to_be_ours_is_refused(memory: Path) -> None:
    """A key's id is public: eight bytes that anybody may write into a signature."""
    content = json.dumps(FILE)
    lines = signed(content, key()[0]).splitlines()
    own, foreign = base64.b64decode(PUBLIC), base64.b64decode(lines[1])
    lines[1] = base64.b64encode(foreign[:2] + own[2:10] + foreign[10:]).decode()
    answers = Publisher().answers() | {("GET", "/feed/u.json.minisig"): Canned(200, "\n".join(lines))}
    assert why(await ask(answers, memory))[0] is Why.TAMPERED


@pytest.mark.parametrize("signature", ["", "hello", "untrusted comment: x\nAAAA\ntrusted comment: y\nAAAA"])
async def test_what_is_no_signature_is_none(memory: Path, signature: str) -> None:
    answers = Publisher().answers() | {("GET", "/feed/u.json.minisig"): Canned(200, signature)}
    assert why(await ask(answers, memory))[0] is Why.NOT_SIGNED


async def test_without_a_signature_nothing_is_believed(memory: Path) -> None:
    answers = Publisher().answers()
    del answers["GET", "/feed/u.json.minisig"]
    assert why(await ask(answers, memory))[0] is Why.NOT_SIGNED


async def test_an_older_answer_than_before_is_refused(memory: Path) -> None:
    await ask(Publisher().answers(), memory)
    older = Publisher({**FILE, "version": "0.2.1", "date": "2026-11-30T10:00:00Z"})
    assert why(await ask(older.answers(), memory)) == (
        Why.REPLAYED,
        "The address for updates sent an older answer (2026-11-30) than it sent before (2026-12-01). "
        "Somebody may be hiding an update; it is not believed.",
    )


async def test_an_older_version_than_before_is_refused_even_if_it_is_signed_anew(memory: Path) -> None:
    await ask(Publisher().answers(), memory)
    back = Publisher({**FILE, "version": "0.1.9", "date": "2026-12-02T10:00:00Z"})
    assert why(await ask(back.answers(), memory)) == (
        Why.DOWNGRADE,
        "The address for updates names version 0.1.9, which is older than 0.2.0. It is not offered.",
    )


async def test_an_older_version_than_the_running_one_is_not_offered(memory: Path) -> None:
    assert why(await ask(Publisher().answers(), memory, running="0.3.0"))[0] is Why.DOWNGRADE


async def test_the_same_answer_again_is_no_replay(memory: Path) -> None:
    first, again = [await ask(Publisher().answers(), memory) for _ in range(2)]
    assert (again == first, isinstance(again, Newer)) == (True, True)


async def test_another_publisher_has_a_history_of_its_own(memory: Path) -> None:
    await ask(Publisher().answers(), memory)
    secret, public = key()
    content = json.dumps({**FILE, "version": "0.1.0", "date": "2026-01-01T00:00:00+00:00"})
    answers = {
        ("GET", "/feed/u.json"): Canned(200, content),
        ("GET", "/feed/u.json.minisig"): Canned(200, signed(content, secret)),
    }
    outcomes = await ask(answers, memory, public=public), await ask(Publisher().answers(), memory)
    assert [type(outcome) for outcome in outcomes] == [Newest, Newer]


@pytest.mark.parametrize("path", ["/feed/u.json", "/feed/u.json.minisig"])
async def test_a_huge_answer_is_not_read_to_its_end(memory: Path, path: str) -> None:
    answers = Publisher().answers() | {("GET", path): Canned(200, "x" * 30_000_000)}
    assert why(await ask(answers, memory))[0] is Why.TOO_LARGE


async def test_nobody_answers(memory: Path) -> None:
    async with CannedServer({}) as server:
        url = server.url
    outcome = await updates.check(Settings(update_url=url, update_key=PUBLIC), memory, NOW)
    assert (why(outcome)[0], why(outcome)[1].startswith("The address for updates cannot be reached")) == (
        Why.NOT_REACHED,
        True,
    )


async def test_a_server_that_nobody_vouches_for_is_asked_nothing(memory: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with CannedServer(Publisher().answers(), tls=context) as server:
        settings = Settings(update_url=f"{server.url}/feed/u.json", update_key=PUBLIC)
        reason, text = why(await updates.check(settings, memory, NOW))
    assert (reason, server.asked) == (Why.NOT_REACHED, [])
    assert text.startswith("The identity of the address for updates could not be verified")


async def test_it_goes_the_way_of_the_systems_proxy(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with CannedServer({}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
        await updates.check(
            Settings(update_url="https://updates.example/u.json", update_key=PUBLIC), memory, NOW
        )
    assert [(each.method, each.path) for each in proxy.asked] == [("CONNECT", "updates.example:443")]


async def test_an_answer_that_never_comes_ends_the_patience(memory: Path) -> None:
    answers = {("GET", "/feed/u.json"): Canned(200, silence=True)}
    assert why(await ask(answers, memory, patience_s=0.1)) == (
        Why.NOT_REACHED,
        "The address for updates did not answer in time. Try again later.",
    )


@pytest.mark.parametrize(
    "answer, expected",
    [
        (Canned(404), Why.NOT_THERE),
        (page("<h1>Please sign in to this network</h1>"), Why.NOT_THERE),
        (Canned(302, "", {"Location": "https://elsewhere.example/u.json"}), Why.MOVED),
        (Canned(503), Why.NOT_REACHED),
        (Canned(403), Why.NOT_REACHED),
        (Canned(500, "<h1>Oh</h1>", {"Content-Type": "text/html"}), Why.NOT_REACHED),
    ],
    ids=["missing", "portal", "moved", "busy", "forbidden", "broken"],
)
async def test_other_answers_have_their_words(memory: Path, answer: Canned, expected: Why) -> None:
    reason, text = why(await ask({("GET", "/feed/u.json"): answer}, memory))
    assert (reason, "upload" in text, "{" in text) == (expected, False, False)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {**FILE, "version": "1.2"},
        {**FILE, "version": 2},
        {**FILE, "date": "yesterday"},
        {**FILE, "date": "2026-12-01T10:00:00"},
        {**FILE, "notes": None},
        {**FILE, "downloads": {}},
        {**FILE, "downloads": ["uphaul.deb"]},
        {**FILE, "downloads": [{**FILE["downloads"][0], "url": "http://a.example/x"}]},  # type: ignore[index]
        {**FILE, "downloads": [{**FILE["downloads"][0], "sha256": "0"}]},  # type: ignore[index]
        {**FILE, "downloads": [{**FILE["downloads"][0], "size_bytes": True}]},  # type: ignore[index]
    ],
)
async def test_what_is_signed_and_nonsense_is_told_so(memory: Path, value: Any) -> None:
    reason, text = why(await ask(Publisher(value).answers(), memory))
    assert (reason, text.endswith("Tell who publishes it.")) == (Why.UNREADABLE, True)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_a_release_or_refused(content: bytes) -> None:
    with pytest.raises(Refused) as refused:
        release_from(content)
    assert refused.value.outcome.why is Why.UNREADABLE


@pytest.mark.parametrize(
    "url",
    [
        "http://updates.example/u.json",
        "ftp://updates.example/u.json",
        "https://ada:secret@updates.example/u.json",
        "https://updates.example/u.json?token=1",
        "https://",
        "https://[",
    ],
)
async def test_an_address_that_is_not_safe_is_never_asked(memory: Path, url: str) -> None:
    outcome = await updates.check(Settings(update_url=url, update_key=PUBLIC), memory, NOW)
    assert why(outcome)[0] is Why.BAD_ADDRESS


async def test_without_address_or_key_it_says_what_is_missing(memory: Path) -> None:
    nowhere = await updates.check(Settings(), memory, NOW, keys=[PUBLIC])
    keyless = await updates.check(Settings(update_url="https://updates.example/"), memory, NOW, keys=[])
    mistyped = await ask(Publisher().answers(), memory, public="RWQf6LRCGA9i53ml")
    assert [why(each)[0] for each in (nowhere, keyless, mistyped)] == [
        Why.NO_ADDRESS,
        Why.NO_KEY,
        Why.BAD_KEY,
    ]


async def test_where_nothing_can_be_noted_down_nothing_is_believed(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    reason, text = why(await ask(Publisher().answers(), tmp_path / "data" / "updates.json"))
    assert (reason, "could not be noted down" in text) == (Why.NOT_KEPT, True)


async def test_a_memory_that_is_nonsense_is_begun_anew(memory: Path) -> None:
    memory.parent.mkdir()
    memory.write_text('{"keys": [1], "answered_at": 5}')
    await ask(Publisher().answers(), memory)
    key_id = base64.b64decode(PUBLIC)[2:10].hex()
    assert updates.seen(memory, key_id) == updates.Seen("0.2.0", datetime(2026, 12, 1, 10, tzinfo=UTC))


async def test_unasked_it_asks_only_if_set_and_once_a_day(memory: Path) -> None:
    wanted = Settings(check_for_updates=True, update_url="https://updates.example/u.json")
    before = [
        updates.is_due(each, memory, NOW) for each in (wanted, replace(wanted, check_for_updates=False))
    ]
    await ask(Publisher().answers(), memory)
    after = [updates.is_due(wanted, memory, NOW + timedelta(hours=hours)) for hours in (1, 25)]
    assert (before, after) == ([True, False], [False, True])


def test_versions_are_ordered_as_numbers_and_unfinished_ones_come_first() -> None:
    versions = ["0.9.0", "0.10.0rc1", "0.10.0", "1.0.0.dev3", "1.0.0"]
    assert sorted({*versions}, key=order) == versions


def test_every_reason_has_its_words() -> None:
    texts = [outcome_text(Unknown(each)) for each in Why]
    assert [text for text in texts if len(text) < 40 or "{" in text] == []


def test_the_keys_in_the_resources_are_keys() -> None:
    keys = resources.update_keys()
    assert [minisign.PublicKey.from_base64(each).to_base64().decode() for each in keys] == keys


@pytest.mark.skipif(shutil.which("minisign") is None, reason="Debian's package minisign is not installed")
async def test_what_minisign_itself_has_signed_is_believed(memory: Path, tmp_path: Path) -> None:
    """The commands of docs/RELEASING.md."""

    def run(*args: str) -> None:
        subprocess.run(["minisign", *args], cwd=tmp_path, check=True, capture_output=True, timeout=20)

    (tmp_path / FILE_NAME).write_text(json.dumps(FILE))
    await asyncio.to_thread(run, "-G", "-W", "-p", "uphaul.pub", "-s", "uphaul.key")
    await asyncio.to_thread(run, "-S", "-s", "uphaul.key", "-m", FILE_NAME)
    public = (tmp_path / "uphaul.pub").read_text().splitlines()[1]
    answers = {
        ("GET", "/feed/u.json"): Canned(200, (tmp_path / FILE_NAME).read_text()),
        ("GET", "/feed/u.json.minisig"): Canned(200, (tmp_path / f"{FILE_NAME}.minisig").read_text()),
    }
    assert isinstance(await ask(answers, memory, public=public), Newer)
