"""docs/CLI.md tells the truth: each example is run, and its fields are those that come out."""

import json
import os
import re
import shlex
from typing import Any

from tests.support.command_line import ROOT, Cli

EXAMPLE = re.compile(r"^```console\n\$ uphaul (?P<command>.+)\n(?P<result>(?:.+\n)+?)```$", re.MULTILINE)


def shape(value: Any) -> Any:
    """Return the field names and JSON types of *value*; of a list, those of its first element."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def test_every_example_has_the_fields_that_come_out(cli: Cli) -> None:
    cli.make("Photos", {"a.jpg": b"hello"})
    os.symlink("a.jpg", cli.work / "Photos" / "link.jpg")
    examples = EXAMPLE.findall((ROOT / "docs" / "CLI.md").read_text(encoding="utf-8"))
    documented = {command: shape(json.loads(result)) for command, result in examples}
    came_out = {command: shape(json.loads(cli.run(*shlex.split(command))[1])) for command, _ in examples}
    assert (came_out, len(examples)) == (documented, 7)


def test_every_code_is_documented() -> None:
    text = (ROOT / "docs" / "CLI.md").read_text(encoding="utf-8")
    sources = "".join(
        (ROOT / "app" / name).read_text(encoding="utf-8")
        for name in ("cli.py", "cli_commands.py", "cli_session.py", "cli_servers.py")
    )
    used = set(re.findall(r"""(?:CliError|\.error)\(\s*"(\w+)\"""", sources))
    assert sorted(used - set(re.findall(r"\w+", text))) == []
