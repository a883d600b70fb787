"""The servers a person has added, kept as TOML. Never a secret in here: those are in secrets.py."""

import shutil
import tomllib
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import MISSING, Field, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import tomli_w

from app.settings import write_atomically


class ProfileError(Exception):
    """An address that cannot be a server's, or profiles that cannot be saved; the message is a sentence for a person."""


SYSTEM_PROXY, NO_PROXY = "system", "none"
_OUR_NAMES = frozenset({"embedded", "this computer"})


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """One account at one server: where it is, which API it speaks, and as whom one signs in ("" where a token says it).

    ``id`` is "" before it is saved for the first time. ``ca_file``, ``client_cert_file`` and ``client_key_file`` are
    paths, "" for none; ``proxy`` is ``system``, ``none`` or the address of one. ``parcel_files`` and ``parcel_bytes``
    limit one request, 0 for what is usual with the dialect. ``target`` and ``target_name`` are the project that was
    chosen last.
    """

    id: str
    name: str
    url: str
    dialect: str
    user: str = ""
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    proxy: str = SYSTEM_PROXY
    parcel_files: int = 0
    parcel_bytes: int = 0
    target: str = ""
    target_name: str = ""


def profiles_path(config_dir: Path) -> Path:
    """Return where the profiles are kept."""
    return config_dir / "servers.toml"


def checked_url(text: str) -> str:
    """Return the address, cleaned. Raises ProfileError with what is wrong.

    An address with a password in it is refused, because addresses are shown, logged and copied. The slash at the end of
    a path stays: with some tus servers it is part of the address.
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
    return url if parts.path.strip("/") else url.rstrip("/")


def checked_proxy(text: str) -> str:
    """Return ``system``, ``none`` or the address of a proxy, without its last slash. Raises ProfileError."""
    proxy = text.strip()
    if proxy.casefold() in ("", SYSTEM_PROXY, NO_PROXY):
        return proxy.casefold() or SYSTEM_PROXY
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
        parts = urlsplit("")
    if parts.password is not None:
        raise ProfileError("A proxy's password is not kept in this file.")
    if (
        not usable
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
        or any(each.isspace() for each in proxy)
    ):
        raise ProfileError(
            "The proxy must be “system”, “none” or an address such as http://proxy.example:3128."
        )
    return urlunsplit((parts.scheme, parts.netloc, "", "", ""))


def without_password(proxy: str) -> tuple[str, str]:
    """Return a proxy's address without its password, and that password ("" if it has none)."""
    with suppress(ValueError):
        parts = urlsplit(proxy.strip())
        if parts.password is not None:
            host = parts.netloc.rpartition("@")[2]
            user = f"{parts.username}@" if parts.username else ""
            return urlunsplit(parts._replace(netloc=f"{user}{host}")), parts.password
    return proxy, ""


def id_of(url: str, user: str = "") -> str:
    """Return the id of an account at a checked address: the same on every day, because the journal names servers by it."""
    place = url.rstrip("/")
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{place}\n{user}" if user else place).hex


def new_profile(name: str, url: str, dialect: str, user: str = "") -> ServerProfile:
    """Return a profile for an address. Raises ProfileError."""
    address = checked_url(url)
    return ServerProfile(id_of(address, user), name.strip() or address, address, dialect, user)


def checked(profile: ServerProfile) -> ServerProfile:
    """Return *profile* with its values cleaned. Raises ProfileError with what is wrong."""
    url = checked_url(profile.url)
    name = " ".join(profile.name.split()) or url
    if name.casefold() in _OUR_NAMES:
        raise ProfileError(f"“{name}” is the server that comes with Uphaul. Give this one another name.")
    if not profile.dialect:
        raise ProfileError("It is not known which kind of server this is.")
    if profile.client_key_file and not profile.client_cert_file:
        raise ProfileError("A client key needs its certificate, too.")
    if profile.parcel_files < 0 or profile.parcel_bytes < 0:
        raise ProfileError("How much goes in one request cannot be less than nothing.")
    return replace(profile, name=name, url=url, user=profile.user.strip(), proxy=checked_proxy(profile.proxy))


def with_profile(
    profiles: Iterable[ServerProfile], profile: ServerProfile
) -> tuple[ServerProfile, list[ServerProfile]]:
    """Return *profile* as it is kept, and all of them with it added, or in the place of the one with its id.

    One without an id gets one. Raises ProfileError; names differ, and so do accounts: nobody could tell them apart.
    """
    everyone, profile = list(profiles), checked(profile)
    others = [each for each in everyone if each.id != profile.id]
    for each in others:
        if each.name.casefold() == profile.name.casefold():
            raise ProfileError(f"There is a server called “{each.name}” already. Give this one another name.")
        if (each.url.rstrip("/"), each.user) == (profile.url.rstrip("/"), profile.user):
            raise ProfileError(f"“{each.name}” is this account already.")
    profile = replace(profile, id=profile.id or _free_id(profile, {each.id for each in others}))
    if len(others) == len(everyone):
        return profile, [*everyone, profile]
    return profile, [profile if each.id == profile.id else each for each in everyone]


def _free_id(profile: ServerProfile, taken: set[str]) -> str:
    """The id of the account; another one where that is taken by a server that has moved away from this address."""
    wanted = id_of(profile.url, profile.user)
    return wanted if wanted not in taken else uuid.uuid4().hex


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
    """Write all profiles atomically. Raises ProfileError.

    A file of which something could not be used is kept beside the new one as ``<name>.broken``.
    """
    try:
        if load(path)[1] and path.exists():
            shutil.copyfile(path, path.with_name(f"{path.name}.broken"))
        write_atomically(path, tomli_w.dumps({"server": [_table(each) for each in profiles]}).encode())
    except OSError as error:
        raise ProfileError(f"The servers could not be saved in {path}: {error.strerror}.") from error


def find(profiles: Iterable[ServerProfile], text: str) -> ServerProfile | None:
    """Return the profile whose name (whatever its case), address or id is *text*, or None."""
    wanted = text.strip().rstrip("/")
    for profile in profiles:
        if wanted in (profile.id, profile.url.rstrip("/")) or wanted.casefold() == profile.name.casefold():
            return profile
    return None


def _table(profile: ServerProfile) -> dict[str, Any]:
    """What is written: everything but what is as usual."""
    usual = {each.name: each.default for each in fields(ServerProfile) if each.name != "user"}
    return {name: value for name, value in asdict(profile).items() if value != usual.get(name, MISSING)}


def _profile(raw: Any, taken: set[str]) -> ServerProfile:
    if not isinstance(raw, dict):
        raise ProfileError("it is no table.")
    values = {each.name: raw.get(each.name, _empty(each)) for each in fields(ServerProfile)}
    for each in fields(ServerProfile):
        if type(values[each.name]) is not type(_empty(each)):
            raise ProfileError(f"{each.name} must be {'a whole number' if each.type is int else 'text'}.")
    if not values["id"] or values["id"] in taken:
        raise ProfileError("it needs an id of its own.")
    if not values["name"] or not values["dialect"]:
        raise ProfileError("it needs a name and a dialect.")
    return checked(ServerProfile(**values))


def _empty(of: "Field[Any]") -> Any:
    return "" if of.default is MISSING else of.default


def _shown(text: str) -> str:
    text = ascii(text)[1:-1] if not text.isprintable() else text
    return text if len(text) <= 100 else f"{text[:100]}…"
