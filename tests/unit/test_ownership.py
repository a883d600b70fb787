"""One process works on a batch; its death frees it."""

import subprocess
import sys
from pathlib import Path

from app.ownership import Ownership

HOLD = """
import sys
from pathlib import Path
from app.ownership import Ownership
held = Ownership(Path(sys.argv[1]))
print(held.take("b"), flush=True)
sys.stdin.read()
"""


def test_another_process_keeps_a_batch_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        took_there = other.stdout.readline().strip()
        mine = Ownership(tmp_path)
        while_it_lives = (mine.take("b"), mine.is_free("b"))
        other.kill()
        other.wait()
        afterwards = (mine.is_free("b"), mine.take("b"), mine.take("b"), mine.is_free("b"))
        mine.release_all()
    assert (took_there, while_it_lives, afterwards) == ("True", (False, False), (True, True, True, False))


def test_locks_of_batches_that_are_gone_are_swept(tmp_path: Path) -> None:
    before = Ownership(tmp_path)
    before.take("old")
    before.take("kept")
    before.release_all()
    Ownership(tmp_path).sweep({"kept"})
    assert [path.name for path in tmp_path.iterdir()] == ["kept.lock"]
