"""What proves that a server speaks a dialect: a table of questions below an address, and of what answers they get.

No row sends a secret, and none makes anything: the one POST is empty and from nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from app.remote import draft, tusfields
from app.remote.answer import Answer, object_in
from app.remote.registry import (
    CELL_SEGMENTATION_HUB,
    DIRECTDRIVE,
    DOORITO,
    DOORITO_FORM,
    TUS,
    UPHAUL,
    VUEMANTICS,
)


class Rank(IntEnum):
    """Which proof wins where one address gives several: the lower."""

    SAYS_ITS_NAME = 0
    HAS_ITS_ROUTES = 1
    IS_A_FALLBACK = 2
    """The server can more, if anything else is proved."""
    IS_A_PROTOCOL = 3
    """Any server might speak it beside its own API."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: a path below the base; OPTIONS say that they mean tus."""

    method: str
    path: str

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it."""
        return dict(tusfields.VERSION) if self.method == "OPTIONS" else {}


@dataclass(frozen=True, slots=True)
class Probe:
    """One row. ``proves`` gets the answers to ``asks``, in order; one that did not come has status 0.

    ``adds`` is the part of the server's address that follows the base. ``below`` are paths that the API has below it:
    whoever pastes one of them means the address above.
    """

    dialect: str
    rank: Rank
    asks: tuple[Ask, ...]
    proves: Callable[[Sequence[Answer]], bool]
    adds: str = ""
    below: tuple[str, ...] = ()


def _is_uphaul(answers: Sequence[Answer]) -> bool:
    return answers[0].status == 200 and object_in(answers[0].body).get("server") == "uphaul"


def _is_vuemantics(answers: Sequence[Answer]) -> bool:
    health = answers[0]
    is_plain = health.headers.get("content-type", "").startswith("text/plain")
    return (health.status == 200 and is_plain and health.body.strip() == "1") or (
        health.status == 404 and "The endpoint was a psyop" in str(object_in(health.body).get("detail"))
    )


def _is_directdrive(answers: Sequence[Answer]) -> bool:
    root, openapi = answers
    paths = object_in(openapi.body).get("paths")
    return object_in(root.body).get("message") == "Welcome to the File Transfer API" or (
        isinstance(paths, dict) and "/api/v1/upload/initiate" in paths
    )


def _is_hub(answers: Sequence[Answer]) -> bool:
    envelope = object_in(answers[0].body)
    return (
        answers[0].status == 401
        and envelope.get("success") is False
        and envelope.get("code") == "UNAUTHORIZED"
    )


def _is_doorito(answers: Sequence[Answer]) -> bool:
    sessions, *healths = answers
    asks_who = sessions.status in (400, 401, 403, 415, 422) and not sessions.is_html
    # A server that answers 401 to whatever is asked is no proof: its health is open to everybody.
    return asks_who and any(
        each.status == 200 and object_in(each.body).get("status") == "ok" for each in healths
    )


def _is_doorito_form(answers: Sequence[Answer]) -> bool:
    health, login = answers
    return (
        object_in(health.body).get("status") == "ok" and login.is_html and "csrfmiddlewaretoken" in login.body
    )


def _is_tus(answers: Sequence[Answer]) -> bool:
    (options,) = answers
    speaks = "tus-version" in options.headers or "tus-resumable" in options.headers
    is_draft = draft.is_announced(options) or "upload-draft-interop-version" in options.headers
    return options.ok and (speaks or is_draft)


_ROOT, _HEALTHZ = Ask("GET", "/"), Ask("GET", "/healthz/")
PROBES: tuple[Probe, ...] = (
    Probe(
        UPHAUL,
        Rank.SAYS_ITS_NAME,
        (_ROOT,),
        _is_uphaul,
        below=("/api/v1", "/files", "/docs", "/openapi.json", "/healthz"),
    ),
    *(
        Probe(
            VUEMANTICS,
            Rank.HAS_ITS_ROUTES,
            (Ask("GET", f"{prefix}/v1/health"),),
            _is_vuemantics,
            adds=prefix,
            below=("/v1", "/ws", "/docs", "/openapi.json"),
        )
        for prefix in ("", "/api")
    ),
    Probe(
        DIRECTDRIVE,
        Rank.HAS_ITS_ROUTES,
        (_ROOT, Ask("GET", "/openapi.json")),
        _is_directdrive,
        below=("/api/v1", "/ws_api", "/docs", "/openapi.json"),
    ),
    Probe(
        CELL_SEGMENTATION_HUB,
        Rank.HAS_ITS_ROUTES,
        (Ask("GET", "/api/projects"),),
        _is_hub,
        below=("/api", "/socket.io", "/login", "/sign-in", "/dashboard"),
    ),
    Probe(
        DOORITO,
        Rank.HAS_ITS_ROUTES,
        (Ask("POST", "/uploads/sessions"), Ask("GET", "/health"), _HEALTHZ),
        _is_doorito,
        below=("/uploads", "/batches", "/app", "/admin", "/health", "/healthz", "/ready"),
    ),
    Probe(
        DOORITO_FORM,
        Rank.IS_A_FALLBACK,
        (_HEALTHZ, Ask("GET", "/app/login/")),
        _is_doorito_form,
        below=("/app", "/admin", "/healthz"),
    ),
    *(
        Probe(TUS, Rank.IS_A_PROTOCOL, (Ask("OPTIONS", path),), _is_tus, adds=path)
        for path in ("", "/files", "/files/", "/uploads", "/uploads/", "/upload", "/tus")
    ),
)
"""First row first where two prove the same dialect."""

TAILS = frozenset(tail for probe in PROBES for tail in probe.below)
"""Where an address that somebody pasted may go on below a server's own."""
