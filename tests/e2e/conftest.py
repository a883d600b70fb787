"""One desktop for all stories, and what each may ask of it. It is the suite's own, whoever starts it and wherever."""

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.e2e.support import services
from tests.e2e.support.desktop import Desktop, desktop, missing_tools
from tests.e2e.support.program import Programs

STORY_TIMEOUT_S = 150


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each story the time a slow machine needs; a failure of one step has its own, shorter deadline."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(STORY_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """When a story fails, before its windows are closed: take a picture of the screen, and keep what they say."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    if report.failed and call.when != "teardown" and "start" in funcargs:
        picture = funcargs["tmp_path"] / "screen.png"
        funcargs["desktop"].picture(picture)
        report.sections += [("the screen", str(picture)), ("the window", funcargs["start"].report())]
    return report


@pytest.fixture(scope="session", name="desktop")
def own_desktop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """The desktop that all stories share."""
    if sys.platform != "linux":
        pytest.skip("the stories drive a virtual X screen, which needs Linux")
    missing = missing_tools()
    if missing:
        pytest.fail(
            f"Not installed: {', '.join(missing)}. `python3 dev.py check` installs them.", pytrace=False
        )
    with desktop(tmp_path_factory.mktemp("desktop")) as started:
        yield started


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty ``UPHAUL_HOME``."""
    folder = tmp_path / "uphaul-home"
    folder.mkdir()
    return folder


@pytest.fixture
def start(desktop: Desktop, home: Path) -> Iterator[Programs]:
    """Start the window on *home*, with the paths given as arguments; ended after the story at the latest."""
    programs = Programs(desktop, home)
    yield programs
    programs.end()


@pytest.fixture
def notifications(desktop: Desktop) -> Iterator[services.Notifications]:
    """A notification daemon."""
    with services.notifications(desktop) as daemon:
        yield daemon


@pytest.fixture
def tray(desktop: Desktop) -> Iterator[services.Tray]:
    """A tray."""
    with services.tray(desktop) as host:
        yield host


@pytest.fixture
def keyring(desktop: Desktop) -> Iterator[None]:
    """An unlocked keyring."""
    with services.keyring(desktop):
        yield
