"""Server profiles on a real file: what can be used is, what cannot is told, and no secret is ever written."""

from pathlib import Path

import pytest

from app.accounts.profiles import (
    ProfileError,
    ServerProfile,
    checked_url,
    find,
    id_of,
    load,
    new_profile,
    save,
)

LAB = ServerProfile("1", "Lab", "https://lab.example/up", "uphaul", "")
OFFICE = ServerProfile("2", "Office", "http://10.0.0.7:8080", "tus", "ada")


def test_profiles_come_back(tmp_path: Path) -> None:
    path = tmp_path / "config" / "servers.toml"
    save(path, [LAB, OFFICE])
    assert load(path) == ([LAB, OFFICE], [])


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert load(tmp_path / "servers.toml") == ([], [])


@pytest.mark.parametrize(
    "table, sentence",
    [
        ('server = ["x"]', "it is no table."),
        ('[[server]]\nid = 3\nname = "n"\nurl = "http://x"\ndialect = "tus"', "id must be text."),
        ('[[server]]\nname = "n"\nurl = "http://x"\ndialect = "tus"', "it needs an id of its own."),
        ('[[server]]\nid = "1"\nurl = "http://x"\ndialect = "tus"', "it needs a name and a dialect."),
        (
            '[[server]]\nid = "1"\nname = "n"\nurl = "http://me:pw@x"\ndialect = "tus"',
            "The address must not hold a user name or password. Give the token on its own.",
        ),
    ],
)
def test_a_bad_profile_is_left_out_and_told(tmp_path: Path, table: str, sentence: str) -> None:
    path = tmp_path / "servers.toml"
    path.write_text(table)
    assert load(path) == ([], [f"Server 1 in {path} is left out: {sentence}"])


def test_nonsense_is_told(tmp_path: Path) -> None:
    path = tmp_path / "servers.toml"
    path.write_bytes(b"\xff[")
    found, (sentence,) = load(path)
    assert (found, "not valid TOML" in sentence) == ([], True)


@pytest.mark.parametrize("text", ["lab", "LAB", "https://lab.example/up/", "1"])
def test_a_server_is_found_by_name_address_or_id(text: str) -> None:
    assert find([OFFICE, LAB], text) == LAB


@pytest.mark.parametrize(
    "text",
    ["", "lab", "ftp://lab.example", "http://", "http://[::1", "http://x:99999", "http://a b", "https://x/?token=1",
     "https://me:pw@x", "https://me@x", "javascript:alert(1)", "http://x/#a"],
)  # fmt: skip
def test_what_cannot_be_an_address_is_refused(text: str) -> None:
    with pytest.raises(ProfileError) as caught:
        checked_url(text)
    assert (str(caught.value).endswith("."), "pw" in str(caught.value)) == (True, False)


def test_a_new_profile_has_the_id_of_its_clean_address() -> None:
    one, two = new_profile(" Lab ", "https://lab.example/", "tus"), new_profile("", "http://x", "tus")
    assert (one.name, one.url, two.name, one.id) == (
        "Lab",
        "https://lab.example",
        "http://x",
        id_of("https://lab.example"),
    )
