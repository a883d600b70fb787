"""Where the frozen program begins: the same command as `uphaul` of a source installation, whatever its arguments are."""

import sys

from ui.__main__ import main

sys.exit(main())
