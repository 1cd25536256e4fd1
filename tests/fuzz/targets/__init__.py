"""Everything that reads what strangers send, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz.target import Target
from tests.fuzz.targets.config import ConfigTarget
from tests.fuzz.targets.control import ControlTarget
from tests.fuzz.targets.http import HTTPTarget
from tests.fuzz.targets.keys import KeysTarget
from tests.fuzz.targets.proxy import ProxyTarget
from tests.fuzz.targets.websocket import WebSocketTarget
from tests.fuzz.targets.wire import WireTarget

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (
        WireTarget(),
        WebSocketTarget(),
        ProxyTarget(),
        HTTPTarget(),
        ControlTarget(),
        ConfigTarget(),
        KeysTarget(),
    )
}
