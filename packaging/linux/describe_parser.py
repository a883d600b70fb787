"""Prints the command line's parser as JSON, for completions and the man page. Run with the product's own packages."""

import argparse
import json
import sys
from typing import Any

from app import cli


def described(parser: argparse.ArgumentParser, name: str, text: str) -> dict[str, Any]:
    """Return a command: its options, its arguments and the commands below it."""
    options, arguments, commands = [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            commands += [
                described(below, word, helps[word]) for word, below in action.choices.items() if word in helps
            ]
        elif action.option_strings:
            takes = "" if action.nargs == 0 else str(action.metavar or (action.dest.upper()))
            options.append({"flags": action.option_strings, "takes": takes, **_about(action)})
        else:
            arguments.append({"name": str(action.metavar or action.dest), **_about(action)})
    return {"name": name, "help": text, "options": options, "arguments": arguments, "commands": commands}


def _about(action: argparse.Action) -> dict[str, Any]:
    return {"help": action.help or "", "choices": [str(choice) for choice in action.choices or ()]}


if __name__ == "__main__":
    top = cli._parser(with_serve=True)
    json.dump({**described(top, top.prog, top.description or ""), "epilog": top.epilog}, sys.stdout)
