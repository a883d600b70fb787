"""What a server can do and wants, in plain words for a person who is about to add it. Pure, no Qt."""

from typing import NamedTuple

from app.remote.base import Abilities
from app.remote.registry import DIALECTS, SignsIn
from app.server_words import ability_rows


class Power(NamedTuple):
    """One line: whether the server can, and the words."""

    can: bool
    words: str


_TOLD_BEFORE_SIGN_IN = "It says what it can do once you have signed in."
_UNLIMITED = "no limit known"


def powers(abilities: Abilities) -> list[Power]:
    """Return what *abilities* mean for a person; limits only where the server names one."""
    lines = []
    for words, value in ability_rows(abilities):
        if value in ("yes", "no"):
            lines.append(Power(value == "yes", words))
        elif value != _UNLIMITED:
            lines.append(Power(True, f"{words}: {value}"))
    return lines


def powers_text(abilities: Abilities | None) -> str:
    """Return one sentence, for a screen reader and a status line."""
    if abilities is None:
        return _TOLD_BEFORE_SIGN_IN
    return "; ".join(f"{words}{'' if can else ': no'}" for can, words in powers(abilities)) + "."


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
