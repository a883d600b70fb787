"""The files that come with the program: icons, licences and keys, found wherever it is installed (also in a frozen one)."""

from importlib.resources import files


def icon_svg(name: str) -> str:
    """Return the SVG text of the icon *name* (``"play"``, ``"uphaul"``); raise FileNotFoundError if there is none."""
    return files(__name__).joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")


def icon_names() -> list[str]:
    """Return the names of all icons, sorted."""
    found = (entry.name for entry in files(__name__).joinpath("icons").iterdir())
    return sorted(name.removesuffix(".svg") for name in found if name.endswith(".svg"))


def license_text(name: str) -> str:
    """Return the licence *name* (``"Lucide"``); raise FileNotFoundError if there is none."""
    return files(__name__).joinpath("licenses", f"{name}.txt").read_text(encoding="utf-8")


def update_keys() -> list[str]:
    """Return the public minisign keys (base64) that a file about updates may be signed with; none in a build without one."""
    folder = files(__name__).joinpath("keys")
    entries = folder.iterdir() if folder.is_dir() else ()
    found = sorted(entry.name for entry in entries if entry.name.endswith(".pub"))
    return [folder.joinpath(name).read_text(encoding="utf-8").splitlines()[1].strip() for name in found]
