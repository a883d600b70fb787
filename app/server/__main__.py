"""`python -m app.server`: what `uphaul serve` does, without the rest of the command line."""

import argparse
import sys

from app.server.command import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m app.server", description="Receive uploads.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
