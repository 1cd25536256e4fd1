"""What a nickname looks like."""

from __future__ import annotations

import re
from typing import Final

SHORTEST_NICKNAME: Final = 3
_NICKNAME: Final = re.compile(r"[a-zA-Z0-9_-]{3,20}")


def is_nickname(text: str) -> bool:
    """Whether anybody may ever have this nickname, whatever the configuration says now (decisions 2.1)."""
    return _NICKNAME.fullmatch(text) is not None
