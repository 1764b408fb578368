"""`python -m hwds` is `hwds`."""

import sys

from hwds.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
