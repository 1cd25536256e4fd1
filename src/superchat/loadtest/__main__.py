"""``python -m superchat.loadtest`` is superchat-loadtest."""

import sys

from superchat.loadtest.command import main

if __name__ == "__main__":
    sys.exit(main())
