"""The engine room of Uphaul: everything but the window. Nothing in here imports Qt."""

from importlib import metadata

try:
    __version__ = metadata.version("uphaul")
except metadata.PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0.1.0"
