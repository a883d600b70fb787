"""Run before the program: what it starts (a browser, a file manager) must find its own libraries, not ours.

PyInstaller's bootloader puts our folder before all others for the dynamic loader, which has read it by now.
"""

import os

for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
    before = os.environ.pop(f"{name}_ORIG", None)
    if before is not None:
        os.environ[name] = before
    else:
        os.environ.pop(name, None)
