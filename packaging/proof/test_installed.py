"""The .deb in a clean Debian without Python: installed, used, upgraded and removed, in this order; then once more, with
what a desktop has: shells that complete, links, the systemd of a user. Started by .ci/packages.

UPHAUL_DEB is the package, UPHAUL_BARE_ROOT the folder where debootstrap's result is kept between runs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from proof.bare_root import BareRoot, bare_root
from proof.booted_root import PACKAGES, USER, booted
from proof.typed import SHELLS, typed

from tests.e2e.support import services
from tests.e2e.support.child import Child
from tests.e2e.support.desktop import Desktop, desktop
from tests.e2e.support.folders import digests, mixed_folder, plain_folder
from tests.e2e.support.hand import Hand, Rect
from tests.e2e.support.records import Records
from tests.e2e.support.stranger import drag_source
from tests.e2e.support.wait import until

OLD = "0.0.1"
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module", name="screen")
def own_desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """An X server, a window manager and a bus, outside of the root."""
    with desktop(tmp_path_factory.mktemp("desktop")) as started:
        yield started


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, screen: Desktop) -> Iterator[BareRoot]:
    """The clean Debian. The desktop's folder (the bus is in it) is there, too."""
    folder = tmp_path_factory.mktemp("bare") / "root"
    with bare_root(Path(os.environ["UPHAUL_BARE_ROOT"]), folder, [screen.folder]) as clean:
        yield clean


@pytest.fixture(scope="module")
def before(root: BareRoot) -> set[str]:
    """What is there before Uphaul, with what it depends on already installed: apt leaves that until `autoremove`."""
    deb = Path(os.environ["UPHAUL_DEB"])
    fields = subprocess.run(
        ["dpkg-deb", "--field", deb, "Depends"], capture_output=True, text=True, check=True
    )
    names = [re.split(r"[ (|]", entry.strip())[0] for entry in fields.stdout.split(",")]
    root.run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *names, timeout_s=900)
    return root.files()


@contextmanager
def server(root: BareRoot, data: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Run the installed `uphaul serve`; yield its address and the variable with its token."""
    token = uuid.uuid4().hex
    env = root.env({"UPHAUL_SERVE_TOKEN": token})
    log = root.folder / f"{uuid.uuid4().hex}.log"
    with Child(
        root.command("uphaul", "serve", "--data", f"/srv/{data}", "--log-level", "error"), env, log
    ) as child:
        line = until(
            lambda: next((one for one in child.words().splitlines() if '"url"' in one), ""), "the server"
        )
        yield json.loads(line)["url"], {"UPHAUL_TOKEN": token, "UPHAUL_HOME": f"/srv/home-of-{data}"}


def arrived(root: BareRoot, data: str, batch: str) -> dict[str, str]:
    """Return the digests of what the server on /srv/DATA has of a batch."""
    return digests(root.folder / "srv" / data / "files" / batch)


@pytest.mark.usefixtures("before")
def test_it_needs_no_python(root: BareRoot) -> None:
    root.install(Path(os.environ["UPHAUL_DEB"]))
    python = subprocess.run(
        root.command("sh", "-c", "command -v python3"), env=root.env(), check=False, capture_output=True
    )
    version = re.search(r"_([^_]+)_", Path(os.environ["UPHAUL_DEB"]).name)
    assert version
    assert (python.stdout, root.run("uphaul", "--version")) == (b"", f"uphaul {version[1]}\n")


def test_a_folder_goes_from_the_installed_command_to_the_installed_server(root: BareRoot) -> None:
    expected = digests(mixed_folder(root.folder / "srv/Photos", files=300))
    with server(root, "one") as (url, env):
        root.run("uphaul", "upload", "/srv/Photos", "--server", url, "--quiet", env=env)
    assert arrived(root, "one", "Photos") == expected


def test_a_drop_on_the_installed_window_arrives_and_is_notified(root: BareRoot, screen: Desktop) -> None:
    expected = digests(mixed_folder(root.folder / "srv/Drop", files=60))
    env = window_env(root, screen, "window")
    records = Records(root.folder / "srv/window")
    with (
        services.notifications(screen) as notifications,
        Child(root.command("uphaul"), env, root.folder / "window.log") as window,
        drag_source(screen, ["/srv/Drop"]) as stranger,
    ):
        place = until(lambda: _window_place(screen, window), "the window")
        Hand(screen).drag(stranger.place, place)
        told = until(notifications.told, "a notification", within_s=60)
        window.end()
        said = window.words()
    assert (said, told[0].title, digests(records.files_folder / "Drop")) == ("", "Drop is uploaded", expected)


def window_env(root: BareRoot, screen: Desktop, home: str) -> dict[str, str]:
    """Return what a window in the root needs of the screen, with a home below /srv."""
    (root.folder / "srv" / home).mkdir()
    names = ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "QT_QPA_PLATFORM", "XDG_RUNTIME_DIR")
    return root.env({"UPHAUL_HOME": f"/srv/{home}", **{name: screen.env[name] for name in names}})


def _window_place(screen: Desktop, window: Child) -> Rect | None:
    assert window.running, f"the window has ended: {window.words()}"
    command = ["xdotool", "search", "--onlyvisible", "--class", "uphaul"]
    found = subprocess.run(
        command, env=screen.env, capture_output=True, text=True, check=False
    ).stdout.split()
    for number in found:
        lines = screen.run("xdotool", "getwindowgeometry", "--shell", number).splitlines()
        facts = dict(line.split("=") for line in lines)
        if int(facts["WIDTH"]) > 400:
            return Rect(int(facts["X"]), int(facts["Y"]), int(facts["WIDTH"]), int(facts["HEIGHT"]))
    return None


def test_a_token_is_kept_in_the_keyring(root: BareRoot, screen: Desktop) -> None:
    with services.keyring(screen), server(root, "one") as (url, env):
        mine = {
            "DBUS_SESSION_BUS_ADDRESS": screen.env["DBUS_SESSION_BUS_ADDRESS"],
            "UPHAUL_HOME": "/srv/keyring",
        }
        added = subprocess.run(
            root.command("uphaul", "server", "add", "lab", url, "--token-stdin"),
            env=root.env(mine),
            input=env["UPHAUL_TOKEN"] + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "kept in the system's keyring" in added.stderr, added.stderr
        tested = root.run("uphaul", "server", "test", "lab", env=mine)
    in_files = [
        file
        for file in (root.folder / "srv/keyring").rglob("*")
        if file.is_file() and env["UPHAUL_TOKEN"].encode() in file.read_bytes()
    ]
    assert (bool(tested), in_files) == (True, [])


def test_an_upgrade_keeps_what_was_under_way(root: BareRoot, tmp_path: Path) -> None:
    """The older version is killed in the middle; the newer one goes on from its journal."""
    new = Path(os.environ["UPHAUL_DEB"])
    root.install(older(new, tmp_path))
    assert root.run("uphaul", "--version") == f"uphaul {OLD}\n"
    expected = digests(plain_folder(root.folder / "srv/Film", 6, 20_000_000))
    with server(root, "two") as (url, env):
        home = root.folder / env["UPHAUL_HOME"].lstrip("/")
        home.mkdir()
        (home / "settings.toml").write_text("speed_limit_bps = 10_000_000\n")
        records = Records(home)
        log = tmp_path / "upload.log"
        with Child(
            root.command("uphaul", "upload", "/srv/Film", "--server", url), root.env(env), log
        ) as upload:
            until(lambda: records.states().get("completed"), "the first file")
            upload.process.kill()
        unfinished = set(records.states()) - {"completed"}
        root.install(new)
        (home / "settings.toml").unlink()
        root.run("uphaul", "resume", "--quiet", env=env)
    assert (bool(unfinished), records.states(), arrived(root, "two", "Film")) == (
        True,
        {"completed": 6},
        expected,
    )


def older(deb: Path, folder: Path) -> Path:
    """Return the same package with a lower version, in its name, its control file and what the program says of itself."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    (metadata,) = tree.glob("usr/lib/uphaul/_internal/uphaul-*.dist-info/METADATA")
    for file in (metadata, tree / "DEBIAN/control"):
        file.write_text(re.sub(r"^Version: .*$", f"Version: {OLD}", file.read_text(), flags=re.MULTILINE))
    lower = folder / f"uphaul_{OLD}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, lower],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return lower


def test_removed_it_leaves_the_persons_data_alone(root: BareRoot, before: set[str]) -> None:
    root.run("apt-get", "-qq", "purge", "--yes", "uphaul")
    left = {
        name
        for name in root.files() - before
        if not name.startswith(("srv/", "root/")) and not name.endswith(".log")
    }
    assert (left, (root.folder / "srv/window/journal.sqlite3").is_file()) == (set(), True)


@pytest.fixture(scope="module")
def furnished(root: BareRoot) -> BareRoot:
    """The same root, with what a desktop has, and with the package once more."""
    desktop_has = ("bash-completion", "zsh", "fish", "xdg-utils", "desktop-file-utils", *PACKAGES)
    root.run("apt-get", "-qq", "install", "--yes", "--no-install-recommends", *desktop_has, timeout_s=900)
    root.install(Path(os.environ["UPHAUL_DEB"]))
    return root


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shells_complete_what_is_typed(furnished: BareRoot, shell: str) -> None:
    assert "--new-project" in typed(furnished, shell, "uphaul upload --new\t", "--new-project")


def test_fish_completes_what_is_typed(furnished: BareRoot) -> None:
    assert furnished.run("fish", "-c", "complete -C 'uphaul server te'").startswith("test\t")


def test_a_link_opens_the_installed_window(furnished: BareRoot, screen: Desktop) -> None:
    handler = furnished.run("xdg-mime", "query", "default", "x-scheme-handler/uphaul")
    env, log = window_env(furnished, screen, "link"), furnished.folder / "link.log"
    with Child(furnished.command("xdg-open", "uphaul:x"), env, log) as link:
        place = until(lambda: _window_place(screen, link), "the window")
    assert (handler, place.width > 0) == ("uphaul-link.desktop\n", True)


def test_the_unit_serves_and_writes_nowhere_else(furnished: BareRoot, tmp_path: Path) -> None:
    """Under the systemd of a user: its settings, processes that work at pictures, another start after kill -9."""
    unit, picture = "uphaul-serve", "/usr/share/icons/hicolor/64x64/apps/uphaul.png"
    upload = "UPHAUL_TOKEN=mine uphaul upload --quiet --server http://127.0.0.1:8766"
    settings = "UPHAUL_SERVE_TOKEN=mine\\nOPTIONS=--port 8766 --process\\n"
    with booted(furnished, tmp_path / "boot.log") as computer:
        data = computer.home / ".local/share/uphaul-serve"
        computer.run(
            f"mkdir -p ~/.config/uphaul && printf '{settings}' > ~/.config/uphaul/serve.env && "
            f"systemctl --user enable --now {unit}"
        )
        until(lambda: computer.run(f"cat $XDG_RUNTIME_DIR/{unit}.json"), "the server")
        computer.run(f"{upload} {picture} --batch-name one")
        until(lambda: list((data / "thumbnails").glob("*.jpg")), "a thumbnail")
        computer.run(f"kill -9 {computer.state(unit, 'MainPID')}")
        until(lambda: computer.state(unit, "NRestarts") == "1", "another start")
        until(lambda: computer.run(f"cat $XDG_RUNTIME_DIR/{unit}.json"), "the server, again")
        computer.run(f"{upload} {picture} --batch-name two")
        pid, home = computer.state(unit, "MainPID"), f"/home/{USER}"
        places = (f"{home}/.local/share/{unit}/x", f"{home}/x", f"{home}/.config/x", "/usr/x")
        writable = [computer.may_write(pid, place) for place in places]
    assert (sorted(digests(data / "files")), writable) == (
        ["one/uphaul.png", "two/uphaul.png"],
        [True, False, False, False],
    )
