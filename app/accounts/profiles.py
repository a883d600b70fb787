"""The servers a person has added, kept as TOML. Never a secret in here: those are in secrets.py."""

import tomllib
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tomli_w

from app.settings import write_atomically


class ProfileError(Exception):
    """An address that cannot be a server's, or profiles that cannot be saved; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """One server: where it is, which API it speaks, and as whom one signs in there ("" where a token says it)."""

    id: str
    name: str
    url: str
    dialect: str
    user: str


def profiles_path(config_dir: Path) -> Path:
    """Return where the profiles are kept."""
    return config_dir / "servers.toml"


def checked_url(text: str) -> str:
    """Return the address without its last slash. Raises ProfileError with what is wrong.

    An address with a password in it is refused, because addresses are shown, logged and copied.
    """
    url = text.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ProfileError("This is not an address of a server.") from None
    if parts.username is not None or parts.password is not None:
        raise ProfileError("The address must not hold a user name or password. Give the token on its own.")
    if parts.scheme not in ("http", "https") or not host or any(each.isspace() for each in url):
        raise ProfileError(
            f"“{_shown(url)}” is not an address of a server: it must begin with http:// or https://."
        )
    if parts.query or parts.fragment:
        raise ProfileError("The address of a server has no “?” and no “#”.")
    return url.rstrip("/")


def id_of(url: str) -> str:
    """Return the id of the server at a checked address: the same on every day, because the journal names servers by it."""
    return uuid.uuid5(uuid.NAMESPACE_URL, url).hex


def new_profile(name: str, url: str, dialect: str, user: str = "") -> ServerProfile:
    """Return a profile for an address. Raises ProfileError."""
    address = checked_url(url)
    return ServerProfile(id_of(address), name.strip() or address, address, dialect, user)


def load(path: Path) -> tuple[list[ServerProfile], list[str]]:
    """Read the profiles; never fail. What cannot be used is left out and told in one sentence each."""
    try:
        table = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [f"The servers in {path} could not be read: {error.strerror}."]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return [], [f"The servers in {path} are not valid TOML: {error}."]
    raw = table.get("server", [])
    found: list[ServerProfile] = []
    problems: list[str] = []
    for number, each in enumerate(raw if isinstance(raw, list) else [raw], 1):
        try:
            found.append(_profile(each, {profile.id for profile in found}))
        except ProfileError as error:
            problems.append(f"Server {number} in {path} is left out: {error}")
    return found, problems


def save(path: Path, profiles: Iterable[ServerProfile]) -> None:
    """Write all profiles atomically. Raises ProfileError."""
    try:
        write_atomically(path, tomli_w.dumps({"server": [asdict(each) for each in profiles]}).encode())
    except OSError as error:
        raise ProfileError(f"The servers could not be saved in {path}: {error.strerror}.") from error


def find(profiles: Iterable[ServerProfile], text: str) -> ServerProfile | None:
    """Return the profile whose name (whatever its case), address or id is *text*, or None."""
    wanted = text.strip().rstrip("/")
    for profile in profiles:
        if wanted in (profile.id, profile.url) or wanted.casefold() == profile.name.casefold():
            return profile
    return None


def _profile(raw: Any, taken: set[str]) -> ServerProfile:
    if not isinstance(raw, dict):
        raise ProfileError("it is no table.")
    values = {each.name: raw.get(each.name, "") for each in fields(ServerProfile)}
    if not all(isinstance(value, str) for value in values.values()):
        raise ProfileError("all its values must be text.")
    if not values["id"] or values["id"] in taken:
        raise ProfileError("it needs an id of its own.")
    if not values["name"] or not values["dialect"]:
        raise ProfileError("it needs a name and a dialect.")
    return ServerProfile(**(values | {"url": checked_url(values["url"])}))


def _shown(text: str) -> str:
    text = ascii(text)[1:-1] if not text.isprintable() else text
    return text if len(text) <= 100 else f"{text[:100]}…"
