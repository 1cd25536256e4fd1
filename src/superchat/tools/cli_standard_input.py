"""Texts of messages from the command line or from standard input."""

from __future__ import annotations

import os
import sys
from typing import Final

from superchat.tools.cli_options import Options
from superchat.tools.cli_secrets import STANDARD_INPUT

LONGEST_CONTENT_BYTES: Final = 65535  # of a string on the wire


def text_of(options: Options) -> bytes:
    """Return the text that was given, byte for byte."""
    return _typed() if options.text == STANDARD_INPUT else os.fsencode(options.text)


def _typed() -> bytes:
    """Read a message from standard input, without the line end a shell or editor puts behind it."""
    # What is longer than a message can be is refused when it is encoded; there is no use in reading on.
    content = sys.stdin.buffer.read(LONGEST_CONTENT_BYTES + 3)
    return content.removesuffix(b"\n").removesuffix(b"\r")
