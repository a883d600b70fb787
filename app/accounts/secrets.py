"""Tokens and passwords: in the system's keyring where there is one that works, else for this session only, and said so."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_T = TypeVar("_T")
_SERVICE = "uphaul"
_NOBODY = "nobody"
_SESSION_ONLY = "The sign-in is kept until Uphaul is closed."
_REASONS = {
    "NoKeyringError": "This system has no keyring.",
    "InitError": "The system's keyring could not be opened.",
    "KeyringLocked": "The system's keyring is locked.",
    "PasswordSetError": "The system's keyring refused to keep the sign-in.",
}


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a secret went: into the keyring, or (with a sentence that says why) only into this session."""

    in_keyring: bool
    sentence: str = ""


class Secrets:
    """Secrets by profile id. Never shown in a repr, never raised, never logged.

    A keyring may ask its person for minutes, so each question has a daemon thread of its own and *timeout_s* seconds;
    one that is late is not asked again in this session.
    """

    def __init__(
        self, find_backend: "Callable[[], KeyringBackend] | None" = None, *, timeout_s: float = 30.0
    ) -> None:
        self._find_backend = find_backend or _system_keyring
        self._timeout_s = timeout_s
        self._session: dict[str, str] = {}
        self._in_keyring: set[str] = set()
        self._problem = ""

    def __repr__(self) -> str:
        return f"Secrets({len(self._session)} in this session)"

    async def get(self, profile_id: str) -> str | None:
        """Return the secret, or None: there is none, or the keyring does not give it. It is asked once for each."""
        if profile_id in self._session:
            return self._session[profile_id]
        try:
            secret = await self._ask(lambda keyring: keyring.get_password(_SERVICE, profile_id))
        except _KeyringProblem:
            return None
        if secret and profile_id not in self._session:
            self._session[profile_id] = secret
            self._in_keyring.add(profile_id)
        return self._session.get(profile_id)

    async def trouble(self) -> str:
        """Return why the keyring is of no use, in a sentence; "" if it answers."""
        try:
            await self._ask(lambda keyring: keyring.get_password(_SERVICE, _NOBODY))
        except _KeyringProblem as problem:
            return str(problem)
        return ""

    async def put(self, profile_id: str, secret: str) -> Kept:
        """Keep a secret, and read it back: some keyrings lose it in silence."""
        self.use(profile_id, secret)
        try:
            found = await self._ask(lambda keyring: _store(keyring, profile_id, secret))
        except _KeyringProblem as problem:
            return Kept(False, f"{problem} {_SESSION_ONLY}")
        if found != secret:
            return Kept(False, f"The system's keyring did not keep the sign-in. {_SESSION_ONLY}")
        self._in_keyring.add(profile_id)
        return Kept(True)

    def use(self, profile_id: str, secret: str) -> None:
        """Keep a secret for this session alone (one that was given on a command line's standard input)."""
        self._session[profile_id] = secret
        self._in_keyring.discard(profile_id)

    def is_in_keyring(self, profile_id: str) -> bool | None:
        """Whether the secret is in the keyring, False if it is of this session alone; None if none is known yet."""
        return profile_id in self._in_keyring if profile_id in self._session else None

    async def forget(self, profile_id: str) -> None:
        """Remove a secret everywhere; one that is not there is no error."""
        self._session.pop(profile_id, None)
        self._in_keyring.discard(profile_id)
        try:
            await self._ask(lambda keyring: keyring.delete_password(_SERVICE, profile_id))
        except _KeyringProblem:
            return

    async def _ask(self, question: "Callable[[KeyringBackend], _T]") -> _T:
        if self._problem:
            raise _KeyringProblem(self._problem)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()
        thread = threading.Thread(
            target=self._answer, args=(question, loop, answer), name="keyring", daemon=True
        )
        thread.start()
        try:
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            self._problem = "The system's keyring did not answer."
            raise _KeyringProblem(self._problem) from None

    def _answer(
        self,
        question: "Callable[[KeyringBackend], _T]",
        loop: asyncio.AbstractEventLoop,
        answer: "asyncio.Future[_T]",
    ) -> None:
        try:
            result = question(self._find_backend())
        except Exception as error:  # backends let errors of D-Bus and of the system's libraries through
            reason = _REASONS.get(type(error).__name__, "The system's keyring reported a problem.")
            _call(loop, lambda: _fail(answer, _KeyringProblem(reason)))
        else:
            _call(loop, lambda: _resolve(answer, result))


class _KeyringProblem(Exception):
    """Why the keyring was of no use, in one sentence, without the secret."""


def _store(keyring: "KeyringBackend", profile_id: str, secret: str) -> str | None:
    keyring.set_password(_SERVICE, profile_id, secret)
    return keyring.get_password(_SERVICE, profile_id)


def _system_keyring() -> "KeyringBackend":
    import keyring

    return keyring.get_keyring()


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:  # answered after the program's loop has closed: nobody waits any more
        return


def _resolve(answer: "asyncio.Future[_T]", result: _T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: "asyncio.Future[_T]", problem: _KeyringProblem) -> None:
    if not answer.done():
        answer.set_exception(problem)
