"""Run before the program: what it starts must find its own libraries, and hold nothing of ours.

PyInstaller's bootloader puts our folder before all others for the dynamic loader, which has read it by now; a browser or a
file manager must not. It also leaves word that this has been done: our own server, the same program once more, would then
not do it and find only the libraries that the desktop happens to have. AppImage's runtime hands down open files that keep
the program mounted for as long as anybody has them; Qt would pass them on.
"""

import os
from contextlib import suppress

for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):
    before = os.environ.pop(f"{name}_ORIG", None)
    if before is not None:
        os.environ[name] = before
    else:
        os.environ.pop(name, None)

for name in [name for name in os.environ if name.startswith("_PYI_")]:
    del os.environ[name]

if os.path.isdir("/proc/self/fd"):
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2:
            with suppress(OSError):  # the one that listed them is closed by now
                os.set_inheritable(number, False)
