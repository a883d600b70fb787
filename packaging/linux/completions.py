"""Shell completions, from the command line's own parser (describe_parser.py): bash, zsh and fish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Command = Mapping[str, Any]
_FILES = ("PATH", "DIR", "FILE", "F")


def walk(command: Command, before: str = "") -> Iterator[tuple[str, Command]]:
    """Yield each command with the words that lead to it: `uphaul`, `uphaul server`, `uphaul server add`…"""
    words = f"{before} {command['name']}".strip()
    yield words, command
    for below in command["commands"]:
        yield from walk(below, words)


def bash(top: Command) -> str:
    """Return the completion for bash: options and commands by the words so far, otherwise files."""
    cases: list[str] = []
    values: dict[tuple[str, str], list[str]] = {}
    for words, command in walk(top):
        flags = [flag for option in command["options"] for flag in option["flags"]]
        offered = " ".join([*(below["name"] for below in command["commands"]), *flags])
        cases.append(f"        '{words}') offered='{offered}' ;;")
        values |= {
            (words, flag): option["choices"] for option in command["options"] for flag in option["flags"]
        }
    choices = [
        f"        '{words} {flag}') COMPREPLY=($(compgen -W '{' '.join(offered)}' -- \"$word\")); return ;;"
        for (words, flag), offered in values.items()
        if offered
    ]
    commands = " ".join(f"'{words}'" for words, _command in walk(top))
    groups = "|".join(f"'{words}'" for words, command in walk(top) if command["commands"] and " " in words)
    return f"""\
# bash completion for {top["name"]}; made from its parser
_{top["name"]}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} at={top["name"]} offered='' index known
    for ((index = 1; index < COMP_CWORD; index++)); do
        for known in {commands}; do
            [[ "$known" == "$at ${{COMP_WORDS[index]}}" ]] && at=$known
        done
    done
    case "$at $before" in
{chr(10).join(choices)}
    esac
    case "$at" in
{chr(10).join(cases)}
    esac
    if [[ "$word" == -* || ( "$at" == {top["name"]} && "$COMP_CWORD" -eq 1 ) ]]; then
        COMPREPLY=($(compgen -W "$offered" -- "$word"))
    elif [[ "$before" != -* ]]; then
        case "$at" in
            {groups}) COMPREPLY=($(compgen -W "$offered" -- "$word")) ;;
        esac
    fi
    [[ ${{#COMPREPLY[@]}} -gt 0 ]] || compopt -o default -o filenames
}}
complete -F _{top["name"]} {top["name"]}
"""


def zsh(top: Command) -> str:
    """Return the completion for zsh: a function a command."""
    functions = [_zsh_function(words, command) for words, command in walk(top)]
    return f'#compdef {top["name"]}\n# made from its parser\n\n{"".join(functions)}_{top["name"]} "$@"\n'


def _zsh_function(words: str, command: Command) -> str:
    name = "_" + words.replace(" ", "_")
    lines = [f"    {_zsh_option(option)} \\" for option in command["options"]]
    if command["commands"]:
        offered = " ".join(_quoted(f"{one['name']}:{one['help']}") for one in command["commands"])
        cases = "".join(
            f"            {one['name']}) {name}_{one['name']} ;;\n" for one in command["commands"]
        )
        return (
            f"{name}() {{\n    local state line\n    _arguments -C \\\n"
            + "\n".join(lines)
            + "\n    '1: :->command' '*:: :->rest'\n    case $state in\n        command)\n"
            + f"            local -a commands=({offered})\n            _describe command commands\n            _files ;;\n"
            + f"        rest) case $line[1] in\n{cases}            *) _files ;;\n        esac ;;\n    esac\n}}\n"
        )
    return f"{name}() {{\n    _arguments \\\n" + "\n".join(lines) + "\n    '*:file:_files'\n}\n"


def _zsh_option(option: Mapping[str, Any]) -> str:
    flags, text = option["flags"], option["help"].replace("[", "(").replace("]", ")").replace(":", "\\:")
    value = ""
    if option["choices"]:
        value = f":value:({' '.join(option['choices'])})"
    elif option["takes"]:
        value = f":{option['takes']}:" + ("_files" if option["takes"] in _FILES else "")
    return " ".join(_quoted(f"{flag}[{text}]{value}") for flag in flags)


def fish(top: Command) -> str:
    """Return the completion for fish: a line an option."""
    lines = [f"# fish completion for {top['name']}; made from its parser"]
    for words, command in walk(top):
        path = words.split()[1:]
        below = " ".join(one["name"] for one in command["commands"])
        seen = [f"__fish_seen_subcommand_from {word}" for word in path]
        here = (
            "; and ".join([*seen, *([f"not __fish_seen_subcommand_from {below}"] if below else [])]) or "true"
        )
        for one in command["commands"]:
            lines.append(
                f"complete -c {top['name']} -n {_quoted(here)} -a {one['name']} -d {_quoted(one['help'])}"
            )
        for option in command["options"]:
            lines.append(f"complete -c {top['name']} -n {_quoted(here)} {_fish_option(option)}")
    return "\n".join(lines) + "\n"


def _fish_option(option: Mapping[str, Any]) -> str:
    words = [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option["flags"]]
    if option["choices"]:
        words.append(f"-x -a {_quoted(' '.join(option['choices']))}")
    elif option["takes"]:
        words.append("-r" if option["takes"] in _FILES else "-x")
    return " ".join([*words, "-d", _quoted(option["help"])])


def _quoted(text: str) -> str:
    """Return *text* in quotes that mean the same to zsh and to fish: a backslash before a colon stays one in both."""
    return "'" + text.replace("'", "’") + "'"
