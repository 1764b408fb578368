"""`python -m hwds` is `hwds`."""

import sys

from hwds.cli import main

if __name__ == "__main__":
    sys.exit(main())
