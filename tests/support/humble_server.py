"""The server for whom the modes of files hold even when root runs the tests: `python -m tests.support.humble_server`."""

import ctypes
import os
import sys

_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1

if __name__ == "__main__":
    if (
        sys.platform == "linux"
    ):  # what is dropped here is gone after the exec; without being root there is nothing to drop
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, "-m", "app.server", *sys.argv[1:]])
