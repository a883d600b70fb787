"""Secrets with real keyring backends: the one that keeps, the one that loses, the one that is not there, the slow one."""

import threading

from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from app.accounts.secrets import Kept, Secrets
from tests.support.keyring_in_memory import Memory

TOKEN = "s3cret-t0ken"


class Locked(Memory):
    """A keyring that nobody unlocks; its error quotes the secret, as a careless backend might."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"locked while setting {password}")


async def test_a_secret_is_found_by_the_next_session() -> None:
    keyring = Memory()
    kept = await Secrets(lambda: keyring).put("lab", TOKEN)
    assert (kept, await Secrets(lambda: keyring).get("lab")) == (Kept(True), TOKEN)


async def test_a_forgotten_secret_is_gone_and_forgetting_twice_is_no_error() -> None:
    keyring = Memory()
    secrets = Secrets(lambda: keyring)
    await secrets.put("lab", TOKEN)
    await secrets.forget("lab")
    await secrets.forget("lab")
    assert (keyring.kept, await secrets.get("lab")) == ({}, None)


async def test_a_keyring_that_loses_secrets_in_silence_is_noticed() -> None:
    secrets = Secrets(null.Keyring)
    kept = await secrets.put("lab", TOKEN)
    assert (kept, await secrets.get("lab")) == (
        Kept(
            False,
            "The system's keyring did not keep the sign-in. The sign-in is kept until Uphaul is closed.",
        ),
        TOKEN,
    )


async def test_without_a_keyring_the_secret_is_kept_for_this_session() -> None:
    secrets = Secrets(fail.Keyring)
    kept = await secrets.put("lab", TOKEN)
    assert (kept, await secrets.get("lab"), await secrets.get("other")) == (
        Kept(False, "This system has no keyring. The sign-in is kept until Uphaul is closed."),
        TOKEN,
        None,
    )


async def test_no_secret_in_a_sentence_or_a_repr() -> None:
    secrets = Secrets(Locked)
    kept = await secrets.put("lab", TOKEN)
    assert (
        kept.sentence,
        TOKEN in repr(secrets) + repr(vars(kept) if hasattr(kept, "__dict__") else kept),
    ) == (
        "The system's keyring is locked. The sign-in is kept until Uphaul is closed.",
        False,
    )


async def test_a_keyring_that_asks_for_minutes_is_left_alone() -> None:
    released, asked = threading.Event(), []

    def waits_for_its_person() -> KeyringBackend:
        asked.append(threading.current_thread().name)
        released.wait(30)
        return Memory()

    secrets = Secrets(waits_for_its_person, timeout_s=0.05)
    kept = await secrets.put("lab", TOKEN)
    again = await secrets.get("other")
    released.set()
    assert (kept.sentence, again, asked) == (
        "The system's keyring did not answer. The sign-in is kept until Uphaul is closed.",
        None,
        ["keyring"],
    )


async def test_where_a_secret_is_can_be_told_without_asking_the_keyring() -> None:
    keyring = Memory()
    await Secrets(lambda: keyring).put("lab", TOKEN)
    secrets = Secrets(lambda: keyring)
    told = [secrets.is_in_keyring("lab")]
    await secrets.get("lab")
    told.append(secrets.is_in_keyring("lab"))
    secrets.use("lab", "another")
    told.append(secrets.is_in_keyring("lab"))
    await secrets.forget("lab")
    assert [*told, secrets.is_in_keyring("lab")] == [None, True, False, None]


async def test_the_keyring_is_asked_once_for_each_server() -> None:
    asked = []

    class Counting(Memory):
        def get_password(self, service: str, username: str) -> str | None:
            asked.append(username)
            return TOKEN

    secrets = Secrets(Counting)
    found = [await secrets.get("lab") for _ in range(5)]
    assert (found, asked) == ([TOKEN] * 5, ["lab"])


async def test_whether_there_is_a_keyring_is_known_before_a_secret_is_given() -> None:
    there, missing = Secrets(Memory), Secrets(fail.Keyring)
    assert (await there.trouble(), await missing.trouble()) == ("", "This system has no keyring.")
