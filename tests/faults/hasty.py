"""Runs twistd with a server that looks for old messages as soon as it runs, not half a minute later.

    python hasty.py ARGUMENT ...

The arguments are twistd's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import attrs
from twisted.scripts import twistd

from superchat.chat import retention
from tests.e2e.server import Place

FIRST_SECONDS = 0.05


@attrs.frozen
class HastyPlace(Place):
    """A place whose servers are that quick."""

    def environment(self, **more: str) -> dict[str, str]:
        """Lets the process find this file's own package."""
        environment = super().environment(**more)
        environment["PYTHONPATH"] += f":{Path(__file__).parent.parent.parent}"
        return environment

    def twistd(self, *options: str) -> list[str]:
        """The command."""
        return [sys.executable, __file__, *options, "superchat", "--config", str(self.config)]


def main(arguments: Sequence[str]) -> None:
    """Change the one figure, and be twistd."""
    retention.FIRST_SECONDS = FIRST_SECONDS  # type: ignore[misc]
    sys.argv[1:] = arguments
    twistd.run()


if __name__ == "__main__":
    main(sys.argv[1:])
