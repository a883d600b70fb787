"""Secrets in a real keyring, and without one."""

import json
import sys
from typing import Any

import pytest

from tests.e2e.support.desktop import Desktop
from tests.e2e.support.program import ROOT


def vault(desktop: Desktop, *arguments: str) -> Any:
    """Run a program of its own that does one thing with a secret; return what it says."""
    return json.loads(
        desktop.run("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.e2e.support.vault", *arguments)
    )


@pytest.mark.usefixtures("keyring")
def test_a_secret_stays_until_it_is_forgotten(desktop: Desktop) -> None:
    """Another program reads what one has kept; after it is forgotten, nobody does."""
    kept = vault(desktop, "put", "lab", "s3cret-töken")
    found = vault(desktop, "get", "lab")
    vault(desktop, "forget", "lab")
    assert (kept["in_keyring"], found, vault(desktop, "get", "lab")) == (True, "s3cret-töken", None)


def test_without_a_keyring_it_lasts_for_the_session(desktop: Desktop) -> None:
    """The program that was told the secret can use it, and says that it will not last."""
    kept = vault(desktop, "put", "lab", "s3cret")
    assert kept == {
        "in_keyring": False,
        "sentence": "This system has no keyring. The sign-in is kept until Uphaul is closed.",
        "now": "s3cret",
    }
    assert vault(desktop, "get", "lab") is None
