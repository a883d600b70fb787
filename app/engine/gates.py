"""One gate for each server: closed while the server as a whole cannot take anything, so that nobody knocks in vain."""

from dataclasses import dataclass, field

from app.domain.events import Link
from app.domain.failure import Failure, FailureKind
from app.domain.transfer import Transfer
from app.engine.retry import gate_delay_s


@dataclass(slots=True)
class Gate:
    """How one server stands. ``until`` (epoch seconds) is None while open, or while only a person can open it."""

    link: Link = Link.UNKNOWN
    until: float | None = None
    failure: Failure | None = None
    tries: int = 0
    waiting: dict[str, Transfer] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Whether everything to this server waits."""
        return self.failure is not None

    @property
    def troubled(self) -> bool:
        """Whether it is closed, or open for a try that nobody has answered yet."""
        return self.link in (Link.WAITING, Link.SIGN_IN)

    def close(self, failure: Failure, now: float) -> float | None:
        """Close after *failure*; return when it opens again (epoch seconds), or None: when a person acts."""
        if self.closed and self.until is not None and failure.retryable and now < self.until:
            return self.until  # several transfers met the same failure: one try counts
        self.tries += 1
        delay = gate_delay_s(failure, self.tries)
        self.failure = failure
        self.until = None if delay is None else now + delay
        self.link = Link.SIGN_IN if failure.kind is FailureKind.SIGN_IN else Link.WAITING
        return self.until

    def open(self) -> list[Transfer]:
        """Let transfers through again; return those that waited here."""
        waited = list(self.waiting.values())
        self.waiting.clear()
        self.failure = self.until = None
        return waited

    def answered(self) -> None:
        """The server took something: it is well, unless it just said that it can take no more."""
        if not self.closed:
            self.tries, self.link = 0, Link.READY
