"""Server profiles on a real file: what can be used is, what cannot is told, and no secret is ever written."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.accounts.profiles import (
    ProfileError,
    ServerProfile,
    checked,
    checked_proxy,
    checked_url,
    find,
    id_of,
    load,
    new_profile,
    save,
    with_profile,
    without_password,
)

LAB = ServerProfile("1", "Lab", "https://lab.example/up", "uphaul", "")
OFFICE = ServerProfile("2", "Office", "http://10.0.0.7:8080", "tus", "ada")


FULL = ServerProfile(
    "3",
    "Microscope",
    "https://m.example",
    "cell_segmentation_hub",
    "ada@example.org",
    "/etc/ca.pem",
    "/home/ada/me.pem",
    "/home/ada/me.key",
    "http://ada@proxy:3128",
    50,
    10_000_000,
    "7f",
    "Cells, day 2",
)


def test_profiles_come_back(tmp_path: Path) -> None:
    path = tmp_path / "config" / "servers.toml"
    save(path, [LAB, OFFICE, FULL])
    assert load(path) == ([LAB, OFFICE, FULL], [])


def test_a_file_of_an_older_version_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "servers.toml"
    path.write_text(
        '[[server]]\nid = "1"\nname = "Lab"\nurl = "https://lab.example/up"\ndialect = "uphaul"\nuser = ""'
    )
    assert load(path) == ([LAB], [])


def test_what_could_not_be_used_is_kept_beside_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "servers.toml"
    path.write_text('server = ["of a future version"]')
    save(path, [LAB])
    assert (load(path), (tmp_path / "servers.toml.broken").read_text()) == (
        ([LAB], []),
        'server = ["of a future version"]',
    )


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


def test_two_people_at_one_address_are_two_accounts_and_nobody_is_who_they_were() -> None:
    ids = {
        id_of("https://lab.example"),
        id_of("https://lab.example", "ada"),
        id_of("https://lab.example", "ben"),
    }
    assert (len(ids), id_of("https://lab.example")) == (3, "fa50ed164ed05b08a2f988a72c1ec804")


def test_an_account_that_is_added_gets_an_id_and_one_that_moves_keeps_it() -> None:
    added, everyone = with_profile([LAB], ServerProfile("", "Ben", "https://ben.example", "tus"))
    moved, after = with_profile(everyone, replace(added, url="https://new.example"))
    again, _ = with_profile(after, ServerProfile("", "Old", "https://ben.example", "tus"))
    assert (added.id, moved.id, after, again.id != moved.id) == (
        id_of("https://ben.example"),
        added.id,
        [LAB, moved],
        True,
    )


@pytest.mark.parametrize(
    "wrong, sentence",
    [
        ({"name": "OFFICE"}, "There is a server called “Office” already. Give this one another name."),
        ({"name": "New", "url": OFFICE.url + "/", "user": "ada"}, "“Office” is this account already."),
        ({"name": "This Computer"}, "“This Computer” is the server that comes with Uphaul. Give this one another name."),
        ({"client_key_file": "/key"}, "A client key needs its certificate, too."),
        ({"parcel_files": -1}, "How much goes in one request cannot be less than nothing."),
        ({"dialect": ""}, "It is not known which kind of server this is."),
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_is_refused(wrong: dict[str, str], sentence: str) -> None:
    with pytest.raises(ProfileError) as caught:
        with_profile([LAB, OFFICE], replace(LAB, **wrong))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text, proxy",
    [("", "system"), ("System", "system"), ("none", "none"), ("proxy:3128", "http://proxy:3128"),
     ("https://p.example/", "https://p.example"), (" http://ada@p:1 ", "http://ada@p:1")],
)  # fmt: skip
def test_a_proxy_is_the_systems_or_none_or_an_address(text: str, proxy: str) -> None:
    assert checked_proxy(text) == proxy


@pytest.mark.parametrize(
    "text", ["socks5://p:1", "http://", "http://p:x", "http://p/path", "http://a:pw@p", "a b"]
)
def test_what_cannot_be_a_proxy_is_refused_without_repeating_a_password(text: str) -> None:
    with pytest.raises(ProfileError) as caught:
        checked_proxy(text)
    assert (str(caught.value).endswith("."), "pw" in str(caught.value)) == (True, False)


def test_a_proxys_password_is_never_written(tmp_path: Path) -> None:
    address, password = without_password("http://ada:s3cret@proxy:3128")
    with pytest.raises(ProfileError):
        checked(replace(LAB, proxy="http://ada:s3cret@proxy:3128"))
    save(tmp_path / "servers.toml", [checked(replace(LAB, proxy=address))])
    assert (address, password, "s3cret" in (tmp_path / "servers.toml").read_text()) == (
        "http://ada@proxy:3128",
        "s3cret",
        False,
    )
