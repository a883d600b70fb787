"""`uphaul serve` as a process: its first line, its warnings, its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.server import ROOT, ServerProcess


def start(tmp_path: Path, *options: str, token: str | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "UPHAUL_SERVE_TOKEN"}
    if token is not None:
        environment["UPHAUL_SERVE_TOKEN"] = token
    return subprocess.Popen(
        [sys.executable, "-m", "app.server", *options],
        cwd=ROOT,
        env=environment | {"UPHAUL_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    told: dict[str, str] = json.loads(process.stdout.readline())
    return told


def test_the_first_line_tells_url_and_token_once_it_listens(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        told = first_line(process)
        answer = httpx.get(
            told["url"] + "/api/v1/batches", headers={"Authorization": f"Bearer {told['token']}"}
        )
        process.terminate()
        assert (set(told), len(told["token"]) >= 32, answer.status_code) == ({"url", "token"}, True, 200)
    assert (tmp_path / "server" / "files").is_dir()


def test_the_token_comes_from_the_environment(tmp_path: Path) -> None:
    with start(tmp_path, token="from-environment") as process:
        told = first_line(process)
        process.terminate()
        _, errors = process.communicate()
    assert (told["token"], "from-environment" in errors) == ("from-environment", False)


def test_it_ends_with_its_parents_standard_input_when_asked_to(tmp_path: Path) -> None:
    with start(tmp_path, "--parent-stdin") as process:
        first_line(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_closed_standard_input_alone_does_not_end_it(tmp_path: Path) -> None:
    with start(tmp_path) as process:
        told = first_line(process)
        assert process.stdin is not None
        process.stdin.close()
        answers = [httpx.get(told["url"] + "/healthz").status_code for _ in range(3)]
        process.terminate()
        assert (answers, process.wait(10)) == ([200] * 3, 0)


def test_a_host_others_can_reach_is_warned_about(tmp_path: Path) -> None:
    with start(tmp_path, "--host", "0.0.0.0") as process:
        first_line(process)
        process.terminate()
        _, errors = process.communicate()
    assert "can be reached from other machines" in errors


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "first") as running:
        port = running.url.rpartition(":")[2]
        with start(tmp_path, "--port", port) as process:
            _, errors = process.communicate()
    assert (process.returncode, errors.count("\n"), "already in use" in errors) == (2, 1, True)
