"""`python -m gossamer` is the same as `gossamer`."""

import sys

from gossamer.cli.main import main

sys.exit(main())
