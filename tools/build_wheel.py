"""Builds the wheel into the directory named on the command line, with this environment's own build tools.

The same hook that `pip install` calls, without its isolation (nothing is downloaded twice) and without its
habit of hiding what the build says.
"""

import sys
from pathlib import Path

from setuptools import build_meta  # type: ignore[import-untyped]


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    build_meta.build_wheel(str(directory), {"--global-option": ["--quiet"]})


main()
