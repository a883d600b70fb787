"""Which stored image is which file: by order, by name and size, by time."""

import pytest

from app.remote.base import Outgoing
from app.remote.hubfields import Kind, Picture, RemoteId, picture_of, remote_id_of
from app.remote.hubmatching import match, walk


def file(key: str, name: str, size_bytes: int = 1, begun_at: float | None = 1000.0) -> Outgoing:
    return Outgoing(key, f"folder/{name}", size_bytes, 0, None, None, "project", begun_at)


def picture(id: str, name: str, size_bytes: int | None = 1, created_at: float = 1010.0) -> Picture:
    return Picture(id, name, size_bytes, created_at)


@pytest.mark.parametrize(
    ("sent", "stored", "found"),
    [
        ("a1 b1 c1", "a1 b1 c1", "0 1 2"),
        ("a1 b1 c1", "x1 y1 z1", "0 1 2"),  # all are there, whatever they are called now
        ("a1 b1 c1", "a1 c1", "0 - 1"),
        ("a1 a2 a3", "a1 a3", "0 - 1"),
        ("a1 b1 c1 d1", "x1 c1 d1", "0 - 1 2"),
        ("a1 b2 c3", "x2", "- 0 -"),  # a broken name, but the size
        ("a1 b1", "", "- -"),
        ("a1 b1 c1", "z9 b1", "0 1 -"),
    ],
)
def test_an_answer_is_walked_in_order(sent: str, stored: str, found: str) -> None:
    files = [file(str(n), f"{each[0]}.png", int(each[1])) for n, each in enumerate(sent.split())]
    images = [picture(str(n), f"{each[0]}.png", int(each[1])) for n, each in enumerate(stored.split())]
    assert " ".join(each.id if each else "-" for each in walk(files, images)) == found


def test_a_lost_file_is_matched_by_name_size_and_time_and_each_image_once() -> None:
    files = [
        file("early", "x.png", begun_at=1000.0),
        file("late", "x.png", begun_at=2000.0),
        file("other size", "x.png", 2),
        file("never began", "y.png", begun_at=None),
        file("older", "z.png", begun_at=2000.0),
    ]
    images = [
        picture("2", "x.png", created_at=2001.0),
        picture("1", "x.png", created_at=1001.0),
        picture("3", "y.png"),
        picture("4", "z.png", created_at=1990.0),
    ]
    assert {key: each.id for key, each in match(files, images).items()} == {"early": "1", "late": "2"}


def test_a_video_is_known_by_any_of_its_frames_and_its_positions() -> None:
    frames = [
        {"id": "f1", "name": "β.nd2 (frame 1)", "parentVideoId": "v1", "createdAt": "2026-11-21T00:00:00Z"},
        {"id": "f2", "name": "β.nd2 (frame 120)", "parentVideoId": "v1", "createdAt": "2026-11-21T00:00:00Z"},
        {"id": "f3", "name": "c.nd2 — position 2 (frame 1)", "parentVideoId": "v2", "createdAt": ""},
    ]
    names = ("β.nd2", "β.nd2", "c.nd2")
    seen = [picture_of(each) for each in frames]
    assert [(each.id, each.kind, each.may_be(name, 77)) for each, name in zip(seen, names, strict=True)] == [
        ("v1", Kind.VIDEO, True),
        ("v1", Kind.VIDEO, True),
        ("v2", Kind.VIDEO, True),
    ]


@pytest.mark.parametrize(
    "text",
    ["p/image/1", "p/video/1", "p/upload/1/0/a.png", "p/upload/1/77/β — /x.png", "p/cut/1795/3/a.mp4"],
)
def test_an_id_is_read_as_it_was_written(text: str) -> None:
    assert str(remote_id_of(text)) == text


@pytest.mark.parametrize("text", ["", "p", "p/image", "p/image/", "/image/1", "p/what/1", "abc-def"])
def test_what_is_no_id_of_ours_is_none(text: str) -> None:
    assert remote_id_of(text) is None


def test_the_request_of_a_file_has_no_file_in_its_name() -> None:
    upload = RemoteId("p", Kind.UPLOAD, "1").of(file("k", "a.png", 3))
    assert (str(upload), str(upload.request)) == ("p/upload/1/3/a.png", "p/upload/1")
