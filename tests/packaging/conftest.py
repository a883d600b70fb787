"""packaging/ is no package (the name belongs to somebody else's): its folders are imported from there, as build.py does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "packaging"))
