"""What a server can do, in plain words for a person who is about to add it. Pure, no Qt."""

from typing import NamedTuple

from app.remote.base import Abilities
from app.remote.registry import DIALECTS, SignsIn
from app.words import count_text, size_text


class Power(NamedTuple):
    """One line: whether the server can, and the words."""

    can: bool
    words: str


_TOLD_BEFORE_SIGN_IN = "It says what it can do once you have signed in."


def powers(abilities: Abilities) -> list[Power]:
    """Return what *abilities* mean for a person, the most important first."""
    lines = [
        Power(True, "Goes on where a file stopped")
        if abilities.resume
        else Power(False, "Sends a file that was cut off from its start"),
        Power(True, "Cancels single files")
        if abilities.cancel_file
        else Power(False, "Cannot cancel a single file"),
        Power(True, "Cancels a whole batch at once")
        if abilities.cancel_batch
        else Power(False, "Cannot cancel a whole batch at once"),
        Power(True, "Checks each file by its SHA-256")
        if abilities.checksum
        else Power(False, "Does not check what arrived"),
    ]
    if abilities.delete_file:
        lines.append(Power(True, "Deletes what was stored"))
    if abilities.processing:
        lines.append(Power(True, "Says how far its work on a file is"))
    if abilities.lists_batches:
        lines.append(Power(True, "Lists the batches of your account"))
    if abilities.max_size_bytes is not None:
        lines.append(Power(True, f"Takes files up to {size_text(abilities.max_size_bytes)}"))
    if abilities.max_files is not None and abilities.max_files > 1:
        lines.append(Power(True, f"Takes up to {count_text(abilities.max_files, 'file')} in a request"))
    return lines


def powers_text(abilities: Abilities | None) -> str:
    """Return one sentence, for a screen reader and a status line."""
    if abilities is None:
        return _TOLD_BEFORE_SIGN_IN
    return ". ".join(power.words for power in powers(abilities)) + "."


def wants_user(kind: str) -> bool:
    """Whether one signs in by name there."""
    return kind in DIALECTS and DIALECTS[kind].signs_in is not SignsIn.TOKEN


def secret_word(kind: str, user: str = "") -> str:
    """Return what the secret is called there: "Password" or "Token"."""
    how = DIALECTS[kind].signs_in if kind in DIALECTS else SignsIn.TOKEN
    if how is SignsIn.PASSWORD_OR_TOKEN:
        return "Password" if user else "Token"
    return "Password" if how is SignsIn.PASSWORD else "Token"


def sign_in_hint(kind: str) -> str:
    """Return what to fill in, where that is not plain."""
    if kind not in DIALECTS:
        return ""
    if DIALECTS[kind].may_be_anonymous:
        return "Leave it empty if the server takes files of anybody."
    if DIALECTS[kind].signs_in is SignsIn.PASSWORD_OR_TOKEN:
        return "Leave the user name empty if you have a token."
    return ""
