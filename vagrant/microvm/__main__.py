"""``python -m microvm``: the command line of the lab."""

import sys

from microvm.cli import main

sys.exit(main())
