"""`uphaul check-update` and `uphaul licences`: what About tells in the window. Needs neither engine nor journal."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from app import __version__, settings, updates
from app.cli_output import Output, moment_json
from app.cli_session import CliError
from app.licences import as_text, components
from app.places import Places
from app.update_file import Newer, Outcome, Unknown
from app.update_words import outcome_text, release_lines

_NEWEST, _NEWER = 0, 1


async def check_update(output: Output, env: Mapping[str, str] = os.environ) -> int:
    """Print what was found; return 0 for the newest version, 1 if there is a newer one. Raises CliError."""
    places = Places.from_environment(env)
    chosen, problems = settings.load(places.settings_path)
    for problem in problems:
        output.say(problem)
    outcome = await updates.check(chosen, places.updates_path, datetime.now(UTC))
    if isinstance(outcome, Unknown):
        raise CliError(outcome.why.value, outcome_text(outcome))
    is_newer = isinstance(outcome, Newer)
    notes = ["", *release_lines(outcome.release)] if is_newer else []
    output.result(_json(outcome), [outcome_text(outcome), *notes])
    return _NEWER if is_newer else _NEWEST


async def licences(output: Output) -> int:
    """Print everything Uphaul is made of, with the texts of the licences."""
    parts = components()
    output.result({"parts": [asdict(part) for part in parts]}, [as_text(parts)])
    return 0


def _json(outcome: Outcome) -> dict[str, Any]:
    assert not isinstance(outcome, Unknown)
    release = outcome.release
    return {
        "running": __version__,
        "is_newer": isinstance(outcome, Newer),
        "release": asdict(release) | {"date": moment_json(release.date.timestamp())},
    }
