"""Who we are to a server, over real HTTP: tokens that end, are refused, or are wrong, and many requests at once."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from app.domain.failure import WRONG_SIGN_IN, Failure, FailureKind, TransferError
from app.remote.auth import Bearer, SignedIn, Tokens, jwt_expiry
from app.remote.http import Http
from tests.support.canned_server import Asked, Canned, CannedServer, json_answer

PASSWORD = "pa55w0rd"
LIFE_S = 1800.0


class TokenServer(CannedServer):
    """Signs people in, and answers /data to the newest token alone.

    ``ended``: access tokens are refused; ``no_refresh``: so are refresh tokens.
    """

    def __init__(self) -> None:
        super().__init__({})
        self.issued = 0
        self.refused_from_now_on: set[str] = set()
        self.no_refresh = False
        self.refuses_all = False

    def answer(self, asked: Asked) -> Canned:
        given = asked.headers.get("authorization", "")
        match asked.path:
            case "/token":
                return self._issue() if PASSWORD in asked.body.decode() else json_answer("{}", 401)
            case "/refresh":
                return json_answer("{}", 401) if self.no_refresh else self._issue()
            case _:
                good = given.startswith("Bearer s3cret-") and given not in self.refused_from_now_on
                return json_answer('{"ok": true}', 200 if good and not self.refuses_all else 401)

    def end_all(self) -> None:
        self.refused_from_now_on |= {f"Bearer s3cret-{number}" for number in range(1, self.issued + 1)}

    def times(self, target: str) -> int:
        return sum(each.path == target for each in self.asked)

    def _issue(self) -> Canned:
        self.issued += 1
        return json_answer(
            json.dumps({"access": f"s3cret-{self.issued}", "refresh": f"r3fresh-{self.issued}"})
        )


class House:
    """An account at that server, with a clock of its own; its connections are closed at the end."""

    def __init__(self, server: TokenServer, *, password: str = PASSWORD, can_refresh: bool = True) -> None:
        self.server = server
        self.time = 1_000_000.0
        self._plain = Http(server.url, None)
        self._password = password
        refresh = self._refresh if can_refresh else None
        self.auth = SignedIn(self._sign_in, refresh, lambda: self.time)
        self.connections = [Http(server.url, self.auth) for _ in range(20)]

    async def get(self, connection: int = 0) -> int:
        return (await self.connections[connection].ask("GET", "/data")).status

    async def aclose(self) -> None:
        for http in (self._plain, *self.connections):
            await http.aclose()

    async def _sign_in(self) -> Tokens:
        return await self._tokens("/token", {"password": self._password})

    async def _refresh(self, old: Tokens) -> Tokens:
        return await self._tokens("/refresh", {"refresh": old.refresh})

    async def _tokens(self, path: str, payload: dict[str, str]) -> Tokens:
        answer = await self._plain.ask("POST", path, payload=payload)
        if not answer.ok:
            raise TransferError(Failure(FailureKind.SIGN_IN, "", answer.status))
        body = answer.json()
        return Tokens(body["access"], body["refresh"], self.time + LIFE_S)


Story = Callable[[House], Awaitable[object]]


async def at(story: Story, **how: object) -> tuple[object, TokenServer]:
    """Let a story happen; return what it told, and the server."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(TokenServer())
        house = House(server, **how)  # type: ignore[arg-type]
        stack.push_async_callback(house.aclose)
        return await story(house), server


async def everybody(house: House) -> list[int]:
    return list(await asyncio.gather(*(house.get(number) for number in range(20))))


async def test_twenty_requests_at_once_sign_in_once() -> None:
    told, server = await at(everybody)
    assert (told, server.times("/token"), server.times("/refresh")) == ([200] * 20, 1, 0)


async def test_twenty_requests_that_are_refused_at_once_refresh_once() -> None:
    async def story(house: House) -> object:
        await everybody(house)
        house.server.end_all()
        return await everybody(house)

    told, server = await at(story)
    assert (told, server.times("/token"), server.times("/refresh")) == ([200] * 20, 1, 1)


@pytest.mark.parametrize("left_s, refreshes", [(61.0, 0), (59.0, 1), (-10.0, 1)])
async def test_a_token_is_renewed_a_minute_before_its_end(left_s: float, refreshes: int) -> None:
    async def story(house: House) -> object:
        await house.get()
        house.time += LIFE_S - left_s
        return await everybody(house)

    told, server = await at(story)
    assert (told, server.times("/refresh"), server.times("/data")) == ([200] * 20, refreshes, 21)


async def test_a_refused_refresh_ends_in_a_sign_in_by_password() -> None:
    async def story(house: House) -> object:
        await house.get()
        house.server.end_all()
        house.server.no_refresh = True
        return await everybody(house)

    told, server = await at(story)
    assert (told, server.times("/token"), server.times("/refresh")) == ([200] * 20, 2, 1)


async def test_where_there_is_no_refresh_the_password_is_used_again() -> None:
    async def story(house: House) -> object:
        await house.get()
        house.server.end_all()
        return await house.get()

    told, server = await at(story, can_refresh=False)
    assert (told, server.times("/token")) == (200, 2)


async def test_a_server_that_refuses_new_tokens_too_is_not_asked_for_ever() -> None:
    async def story(house: House) -> object:
        house.server.refuses_all = True
        return await house.get()

    told, server = await at(story)
    assert (told, server.times("/data"), server.issued) == (401, 2, 2)


async def test_a_wrong_password_is_a_matter_for_a_person_and_asked_once_a_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(house: House) -> object:
        with pytest.raises(TransferError) as caught:
            await house.get()
        error = caught.value
        return error.failure, repr(error) + repr(error.__context__) + repr(error.__cause__)

    with caplog.at_level(logging.DEBUG):
        (failure, text), server = await at(story, password="wr0ng")  # type: ignore[misc]
    assert (failure, server.times("/token"), server.times("/data"), "wr0ng" in text + caplog.text) == (
        Failure(FailureKind.SIGN_IN, WRONG_SIGN_IN, 401),
        1,
        0,
        False,
    )


async def test_a_wrong_password_of_twenty_requests_at_once_is_sent_once_and_again_when_somebody_tries_again() -> (
    None
):
    async def story(house: House) -> object:
        async def kind(number: int) -> object:
            with pytest.raises(TransferError) as caught:
                await house.get(number)
            return caught.value.failure.kind

        kinds = set(await asyncio.gather(*map(kind, range(20))))
        at_first = house.server.times("/token")
        return kinds | {await kind(0)}, at_first, house.server.times("/token")

    told, _ = await at(story, password="wr0ng")
    assert told == ({FailureKind.SIGN_IN}, 1, 2)


async def test_a_cancelled_sign_in_leaves_nobody_waiting() -> None:
    async def story(house: House) -> object:
        first = asyncio.create_task(house.get(0))
        others = asyncio.create_task(everybody(house))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await others

    told, server = await at(story)
    assert (told, server.times("/token") <= 2) == ([200] * 20, True)


async def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def story(house: House) -> object:
        await everybody(house)
        tokens = await house.auth.tokens()
        return repr((tokens, house.auth, house.connections[0], Bearer("s3cret-0")))

    with caplog.at_level(logging.DEBUG):
        told, _ = await at(story)
    shown = f"{told}{caplog.text}"
    assert [secret for secret in (PASSWORD, "s3cret-", "r3fresh-") if secret in shown] == []


async def test_a_token_that_a_person_gave_is_not_renewed() -> None:
    async with TokenServer() as server:
        http = Http(server.url, Bearer("s3cret-given"))
        before = (await http.ask("GET", "/data")).status
        server.refuses_all = True
        after = (await http.ask("GET", "/data")).status
        await http.aclose()
        assert (before, after, server.times("/data"), server.issued) == (200, 401, 2, 0)


@pytest.mark.parametrize("token", ["näive", "two\nlines", "a\x00b", "\ud800"])
def test_what_is_no_token_is_refused_without_repeating_it(token: str) -> None:
    with pytest.raises(TransferError) as caught:
        Bearer(token)
    assert (caught.value.failure.kind, token in str(caught.value)) == (FailureKind.SIGN_IN, False)


def _jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.sig"


@pytest.mark.parametrize(
    "token, ends",
    [
        (_jwt({"exp": 1_900_000_000, "sub": "ada"}), 1_900_000_000.0),
        (_jwt({"sub": "ada"}), None),
        (_jwt([1]), None),
        (_jwt({"exp": "soon"}), None),
        (_jwt({"exp": None}), None),
        (_jwt({"exp": 10**4000}), None),
        ("opaque", None),
        ("a.!!!.c", None),
        ("a.e30x.c", None),
        ("", None),
    ],
)
def test_the_end_of_a_token_is_read_where_it_says_it(token: str, ends: float | None) -> None:
    assert jwt_expiry(token) == ends
