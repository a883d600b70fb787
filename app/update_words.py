"""What the check for updates found, in words. Pure."""

from app.domain.failure import FailureKind
from app.endings import shortened
from app.units import size_text
from app.update_file import Download, Newer, Newest, Outcome, Release, Unknown, Why

_K = FailureKind

_WHYS: dict[Why, str] = {
    Why.NO_ADDRESS: "No address for updates is set. Put it into the settings, then check again.",
    Why.BAD_ADDRESS: "The address for updates cannot be used: it must begin with https://, without a name, a password, "
    "“?” or “#” in it. Correct it in the settings.",
    Why.NO_KEY: "This Uphaul came without a key that updates are signed with, so nothing could vouch for an answer. "
    "Put the publisher's public key into the settings.",
    Why.BAD_KEY: "The key for updates is no public minisign key. Correct it in the settings.",
    Why.NOT_THERE: "There is nothing about updates at this address. Check it in the settings.",
    Why.MOVED: "The address for updates has moved{to}. If you trust that, put the new one into the settings.",
    Why.TOO_LARGE: "What the address for updates sent is far too long to be about updates. It is not believed.",
    Why.NOT_SIGNED: "What the address for updates sent has no signature. It is not believed.",
    Why.OTHER_KEY: "What the address for updates sent is signed with a key that this Uphaul does not know. "
    "It is not believed.",
    Why.TAMPERED: "What the address for updates sent was changed after it was signed. It is not believed.",
    Why.OTHER_FILE: "The signature at the address for updates was made for another file. It is not believed.",
    Why.UNREADABLE: "What the address for updates sent is signed, but cannot be read{detail}. Tell who publishes it.",
    Why.REPLAYED: "The address for updates sent an older answer ({first}) than it sent before ({second}). "
    "Somebody may be hiding an update; it is not believed.",
    Why.DOWNGRADE: "The address for updates names version {first}, which is older than {second}. "
    "It is not offered.",
    Why.NOT_KEPT: "What the address for updates sent could not be noted down, so it is not used{detail}.",
}
_FAILURES: dict[FailureKind, str] = {
    _K.UNREACHABLE: "The address for updates cannot be reached{detail}. Check the network, then try again.",
    _K.CONNECTION_LOST: "The connection to the address for updates was lost{detail}. Try again.",
    _K.STALLED: "The address for updates did not answer in time. Try again later.",
    _K.BUSY: "The address for updates is busy. Try again a little later.",
    _K.SERVER_ERROR: "The address for updates has a problem of its own{detail}. Try again later.",
    _K.TLS: "The identity of the address for updates could not be verified{detail}. Nothing was asked.",
}
_OTHER_FAILURE = "The address for updates answered with something else{detail}. Check it in the settings."


def outcome_text(outcome: Outcome) -> str:
    """Return one or two sentences."""
    if isinstance(outcome, Newest):
        return f"This is the newest version, {outcome.release.version} of {day_text(outcome.release)}."
    if isinstance(outcome, Newer):
        return f"Version {outcome.release.version} of {day_text(outcome.release)} is there."
    return _unknown_text(outcome)


def day_text(release: Release) -> str:
    """Return the day of a release, in UTC: "2026-12-01"."""
    return f"{release.date:%Y-%m-%d}"


def release_lines(release: Release) -> list[str]:
    """Return notes and downloads for a person, line by line; control characters are escaped."""
    lines = [_clean(line) for line in release.notes.strip().splitlines()]
    for each in release.downloads:
        lines += ["", *download_lines(each)]
    return lines


def download_lines(download: Download) -> list[str]:
    """Return what one needs to fetch a file and to check it."""
    return [
        f"{_clean(download.system)}, {size_text(download.size_bytes)}: {download.url}",
        f"SHA-256 {download.sha256}",
    ]


def _unknown_text(unknown: Unknown) -> str:
    text, detail = _WHYS.get(unknown.why, ""), unknown.detail
    if unknown.why is Why.NOT_REACHED:
        failure = unknown.failure
        text = _FAILURES.get(failure.kind, _OTHER_FAILURE) if failure else _OTHER_FAILURE
        detail = failure.detail.rstrip(".") if failure else ""
    first, _, second = detail.partition(", ")
    shown = shortened(_clean(detail))
    return text.format(
        detail=f": {shown}" if shown else "", to=f" to {shown}" if shown else "", first=first, second=second
    )


def _clean(text: str) -> str:
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
