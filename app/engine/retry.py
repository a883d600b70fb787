"""When to try again: pure arithmetic over failures.

Delays grow and start anew when a transfer has made progress (as tus-js-client does). What concerns the whole server
costs no transfer a try: the server's gate closes, everything to it waits, and one clock counts.
"""

from app.domain.failure import Failure, FailureKind

FILE_DELAYS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""After the last of these a transfer has failed."""
GATE_DELAYS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
"""The last one repeats for as long as the server stays away."""
DISK_FULL_DELAY_S = 60.0


def file_delay_s(failure: Failure, attempts: int) -> float | None:
    """Return the seconds to wait before try number *attempts* + 1 of one file, or None if it has failed for good."""
    if not failure.retryable or attempts > len(FILE_DELAYS_S):
        return None
    return max(FILE_DELAYS_S[max(0, attempts - 1)], failure.retry_after_s or 0.0)


def gate_delay_s(failure: Failure, tries: int) -> float | None:
    """Return the seconds that a whole server is left alone after *tries* failures in a row; None: until a person acts."""
    if not failure.retryable:
        return None
    if failure.retry_after_s is not None:
        return max(1.0, failure.retry_after_s)
    if failure.kind is FailureKind.DISK_FULL:
        return DISK_FULL_DELAY_S
    return GATE_DELAYS_S[min(tries - 1, len(GATE_DELAYS_S) - 1)]
