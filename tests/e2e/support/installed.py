"""Starts an installed program with the probe in it, where `dev.py check --installed PATH` has named one.

A frozen program takes no ``-m`` and no PYTHONPATH: a small library (inject.c, made with the system's C compiler) lets its
own Python start the probe. Its code, its libraries and its child processes are those that people get.
"""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VARIABLE = "UPHAUL_TEST_INSTALLED"


def program() -> Path | None:
    """Return the program under test, None for the source."""
    path = os.environ.get(VARIABLE)
    return Path(path).absolute() if path else None


def probing(probe: str, folder: Path) -> dict[str, str]:
    """Return the variables that make an installed program answer to *probe*; the library is kept in *folder*."""
    library = folder / "inject.so"
    if not library.exists():
        source = Path(__file__).with_name("inject.c")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl", "-lpthread"], check=True
        )
    return {"LD_PRELOAD": str(library), "UPHAUL_TEST_CODE": _CODE.format(root=str(ROOT), probe=probe)}


# Python is ready before the program's own modules can be found: then it is called again. Its children shall not inherit it.
_CODE = """
import sys
if 'ui.__main__' in sys.modules:
    import os, threading
    os.environ.pop('LD_PRELOAD', None)
    os.environ.pop('UPHAUL_TEST_CODE')
    sys.path.append({root!r})
    from tests.e2e.support import probe
    threading.Thread(target=probe.answer_forever, args=[{probe!r}], name='probe', daemon=True).start()
"""
