"""Cancels a coroutine at its n-th suspension: every await point of a function can be tried in turn."""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any


class Steps:
    """Runs one coroutine as a task and cancels that task, once, at suspension number *cancel_at* (from 1).

    *late*: only after the loop has gone round once, when what it waits for may be half done. ``count`` says how many
    suspensions there were.
    """

    def __init__(self, cancel_at: int, *, late: bool = False) -> None:
        self._cancel_at = cancel_at
        self._late = late
        self.count = 0

    @types.coroutine
    def run(self, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Await *work* in the current task."""
        step, value = work.send, None
        while True:
            try:
                waited_for = step(value)
            except StopIteration as done:
                return done.value
            self.count += 1
            if self.count == self._cancel_at:
                self._cancel()
            try:
                step, value = work.send, (yield waited_for)
            except BaseException as error:  # whatever the loop throws in belongs to the work
                step, value = work.throw, error

    def _cancel(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._late:
            asyncio.get_running_loop().call_soon(task.cancel)
        else:
            task.cancel()
