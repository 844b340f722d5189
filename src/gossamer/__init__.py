"""Gossamer: Redis, whole, in typed Python."""

from typing import Final

__version__: Final = "0.1.0"
