"""Which of Twisted's own log events tell an operator nothing, or tell it too often."""

import re
from typing import Final

from twisted.logger import LogEvent

ACCEPTING: Final = frozenset({"twisted.internet.tcp.Port", "twisted.internet.unix.Port"})
"""The namespaces of what Twisted says when it cannot accept: three lines for each connection, `descriptors` counts
them and says it in one a second."""
RESERVING: Final = "twisted.internet.tcp._FileDescriptorReservation"
"""The namespace of the same, with tracebacks."""

# The server has one line of its own for each listener (decisions 9.3), and the request lines of a twisted.web Site
# are written to Twisted's global log file.
_FACTORIES: Final = frozenset({"Starting factory {factory!r}", "Stopping factory {factory!r}"})
_LEGACY: Final = frozenset({"log_legacy", "twisted.python.log"})
_PORTS: Final = re.compile(r"\S+ starting on \S+|\(\S+ Port \S+ Closed\)")


def is_noise(event: LogEvent) -> bool:
    """Whether the logs are better off without an event."""
    namespace = event.get("log_namespace")
    if namespace in _LEGACY:
        return "log_io" in event or _PORTS.fullmatch(str(event.get("log_text"))) is not None
    return namespace in ACCEPTING or namespace == RESERVING or event.get("log_format") in _FACTORIES
