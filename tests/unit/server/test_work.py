"""How a processor is named, so that another process finds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from app.server.file_records import FileRecord
from app.server.job_records import JobRecord
from app.server.processors import inspect
from app.server.states import FileStatus, JobStatus
from app.server.work import Processor, Processors, Work, find, name_of, order, records


class Somebody:
    def work(self, work: Work) -> Mapping[str, Any]:
        return {}


def inner() -> Processor:
    return lambda work: {}


def test_a_function_is_found_by_its_name() -> None:
    name = name_of(inspect)
    assert (name, find(name) is inspect) == ("app.server.processors:inspect", True)


@pytest.mark.parametrize("function", [inner(), Somebody().work, partial(inspect), Somebody()])
def test_what_no_other_process_can_import_is_refused(function: Any) -> None:
    processors = Processors()
    with pytest.raises(ValueError, match="top of a module"):
        processors["kind"] = function
    assert processors.name("kind") is None


def test_a_job_and_its_file_travel_as_json() -> None:
    job = JobRecord(
        seq=3,
        id="j",
        kind="inspect",
        owner="me",
        file_id="f",
        batch_id=None,
        lane="j",
        status=JobStatus.PROCESSING,
        attempts=1,
        progress=0,
        stage=None,
        error=None,
        result={},
        payload={"filename": "ä.png", "size": 5},
        created_at="2026-11-21T00:00:00.000Z",
        started_at=None,
        completed_at=None,
    )
    file = FileRecord(
        id="f",
        owner="me",
        batch_id=None,
        filename="ä.png",
        relative_path="a/ä.png",
        status=FileStatus.STORED,
        size_bytes=5,
        offset_bytes=5,
        expected_sha256=None,
        sha256="0" * 64,
        mtime_ns=1,
        stored_path="a/ä.png",
        upload_metadata="",
        created_at="2026-11-21T00:00:00.000Z",
        completed_at=None,
        cancelled_at=None,
        cancelled_by=None,
        expires_at=None,
        error_message=None,
        origin="",
        process=True,
        is_sized=True,
        extra={"content_type": "image/png"},
        folder=None,
    )
    travelled = records(json.loads(json.dumps(order("module:function", job, file))))
    assert (travelled, type(travelled[0].status)) == ((job, file), JobStatus)
