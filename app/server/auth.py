"""The names of users that no account has."""

from __future__ import annotations

LOCAL_OWNER = "local"
"""The user of the one token that the server was started with."""
