"""What the Cell Segmentation Hub answers when it takes nothing now: its sentences, Czech or English, are not shown."""

import pytest

from app.remote.answer import Answer
from app.remote.hubfields import failure
from app.words import failure_text


@pytest.mark.parametrize(
    "body",
    [
        '{"success":false,"error":"Příliš mnoho požadavků, zkuste to později","code":"RATE_LIMIT_EXCEEDED"}',
        '{"success":false,"error":"Příliš mnoho požadavků, zkuste to později"}',
        '{"success":false,"message":"Too many requests from this IP"}',
    ],
)
def test_a_limit_is_told_by_its_status_alone(body: str) -> None:
    answer = Answer(429, {"content-type": "application/json"}, body)
    assert failure_text(failure(answer, 0.0)) == "The server is busy (429). Retry a little later."
