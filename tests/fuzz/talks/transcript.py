"""What one client said and heard, and whether that is a conversation as the protocol has it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from superchat.wire import messages as wire
from superchat.wire.connection import Connection
from superchat.wire.errors import Broken, ErrorCode, Malformed
from superchat.wire.frames import COMPRESSED, HEADER, LENGTH, MAX_LENGTH, MIN_LENGTH, VERSION, decompress
from superchat.wire.messages import BY_CODE, FROM_CLIENT
from superchat.wire.records import Message, Sender
from tests.fuzz.talks.answers import Answer, Request, answer_to, is_certain_refusal, is_news

_REFUSED_AT_THE_DOOR = (ErrorCode.PERMISSION_DENIED, ErrorCode.CONNECTION_LIMIT, ErrorCode.SERVER_FULL)
_LATEST_KEPT = 12


class Transcript:
    """Judges frame by frame; whatever is wrong raises AssertionError.

    - Every frame is whole, is a message of the server's, and has the bytes that this message has.
    - Nothing is compressed but for a client whose version is 2 (decisions 1.2), SERVER_CONFIG is first (1.1).
    - Every request is answered once, in the order in which requests were made, in a way that fits it.
    - New messages of a channel come in the order of their ids, each once, and after their author's confirmation
      (decisions 4.6, 4.8).

    Where more than one reading of what was heard is possible, any that is right will do. *may_fail* says that the
    storage may fail, and with it any request.
    """

    def __init__(self, *, may_fail: bool = False, learn: Callable[[Message], None] = lambda message: None) -> None:
        self.requests: list[Request] = []
        self.acknowledged: list[tuple[int, wire.PostMessage | None]] = []
        """The ids of posted messages, each with the request that it answers where that is certain."""
        self.heard = 0
        self.ended: str | None = None
        """The reason the server gave for closing."""
        self.features: set[tuple[str, str]] = set()
        """What was answered to what, in short."""
        self.may_fail = may_fail
        self._learn = learn
        self._sent = Connection(FROM_CLIENT)
        self._broken = False
        self._quit = False
        self._rest = b""
        self._answered = {0}
        """How many requests have been answered, in every reading that is possible."""
        self._newest: dict[int, int] = {}
        self._new: set[int] = set()
        self._created: set[int] = set()
        self._latest: deque[Message] = deque(maxlen=_LATEST_KEPT)

    @property
    def is_answered(self) -> bool:
        """Whether nothing is owed to the client."""
        return self._quit or self.ended is not None or len(self.requests) in self._everything_silent()

    # What the client says

    def said(self, data: bytes) -> None:
        """Bytes that the server gets, in whatever pieces."""
        if self._broken or self._quit:
            return
        self._sent.receive_data(data)
        try:
            while not self._quit and (event := self._sent.next_event()) is not None:
                if isinstance(event, Malformed):
                    event = Malformed(event.code, event.name, event.reason)  # without all that its traceback holds
                self.requests.append(event)
                self._quit = isinstance(event, wire.Disconnect)
        except Broken:
            self._broken = True

    # What the client hears

    def hears(self, data: bytes) -> None:
        """Bytes of the server, in whatever pieces."""
        self._rest += data
        while len(self._rest) >= HEADER.size:
            length, version, code, flags = HEADER.unpack_from(self._rest)
            assert MIN_LENGTH <= length <= MAX_LENGTH, f"frame length {length}"
            end = LENGTH.size + length
            if len(self._rest) < end:
                return
            payload, self._rest = self._rest[HEADER.size : end], self._rest[end:]
            self._frame(version, code, flags, payload)

    def leave(self) -> None:
        """The client closes the connection, and need not be answered."""
        self._quit = True

    def lose(self) -> None:
        """The connection is over; when it was the server that closed it, it has said why (decisions 1.7)."""
        assert self._quit or self.ended is not None, "closed without a word"

    def close(self) -> None:
        """Nothing more will come, and there was time for everything that had to."""
        assert not self._rest, "the last frame is not whole"
        assert self.is_answered, f"no answer to {self._due()}"
        assert self._quit or self.ended is not None or not self._broken, "framing is lost, and nothing happens"

    def _frame(self, version: int, code: int, flags: int, payload: bytes) -> None:
        assert self.ended is None, f"type 0x{code:02X} after DISCONNECT"
        assert version == VERSION
        assert flags & ~COMPRESSED == 0
        if flags & COMPRESSED:
            assert self._sent.peer_version == VERSION, "compressed for another version"
            payload = decompress(payload)
        kind = BY_CODE.get(code)
        assert kind is not None, f"type 0x{code:02X}"
        assert kind.SENDER is not Sender.CLIENT, f"{kind.NAME} is a client's"
        message = kind.unpack(payload)
        assert message.pack() == payload, f"bytes that do not belong to {message}"
        self._latest.append(message)
        self._message(message)
        self.heard += 1
        self._learn(message)

    def _message(self, message: Message) -> None:
        assert (self.heard == 0) == isinstance(message, wire.ServerConfig), message
        if isinstance(message, wire.ServerConfig):
            return
        if isinstance(message, wire.Disconnect):
            self.ended = message.reason or ""
            return
        if isinstance(message, wire.Error):
            assert message.error_code != ErrorCode.INTERNAL_ERROR, message
            assert self.may_fail or message.error_code != ErrorCode.DATABASE_ERROR, message
            if self._is_last_word(message):
                return
        self._take(message)
        self._check(message)

    def _is_last_word(self, error: wire.Error) -> bool:
        """Whether nothing but DISCONNECT may follow; or the client was never let in."""
        if self.heard == 1 and error.error_code in _REFUSED_AT_THE_DOOR:
            # Nobody who was let in is refused before it has asked for something.
            return not self.requests or error.error_code != ErrorCode.PERMISSION_DENIED
        return self._broken and error.error_code == ErrorCode.INVALID_FRAME

    # Readings

    def _take(self, message: Message) -> None:
        readings: set[int] = set()
        for number in self._everything_silent():
            if is_news(message) or (number and self._follows(self.requests[number - 1], message)):
                readings.add(number)
            if number < len(self.requests) and self._answers(self.requests[number], message):
                readings.add(number + 1)
        if isinstance(message, wire.MessagePosted) and message.success:
            self._acknowledge(message.message_id, readings)
        assert readings, (
            f"{message}\nis not the answer that is due, to {self._due()}\nbefore: {[str(one) for one in self._latest]}"
        )
        self._answered = readings

    def _everything_silent(self) -> set[int]:
        """The readings, with those requests passed over that need no answer."""
        readings = set()
        for number in self._answered:
            readings.add(number)
            while number < len(self.requests) and answer_to(self.requests[number]).silent:
                number += 1
                readings.add(number)
        return readings

    def _answers(self, request: Request, message: Message) -> bool:
        answer: Answer = answer_to(request)
        if isinstance(message, wire.Error):
            codes = (*answer.codes, ErrorCode.DATABASE_ERROR) if self.may_fail else answer.codes
            fits = message.error_code in codes and message.message != ""
            self._note(fits, request, str(message.error_code))
            return fits
        if not isinstance(message, answer.kinds):
            return False
        if isinstance(message, wire.MessagePosted) and (not message.success or is_certain_refusal(request)):
            return False
        fits = answer.fits(request, message)
        self._note(fits, request, f"{message.NAME} {getattr(message, 'success', '')}")
        return fits

    def _note(self, fits: bool, request: Request, how: str) -> None:
        if fits:
            self.features.add((_name(request), how))

    def _follows(self, request: Request, message: Message) -> bool:
        return isinstance(request, Message) and isinstance(message, answer_to(request).follows)

    def _due(self) -> str:
        number = max(self._everything_silent())
        return str(self.requests[number]) if number < len(self.requests) else "nothing"

    # What is told

    def _acknowledge(self, message_id: int, readings: set[int]) -> None:
        assert message_id not in self._new, "news of a message before its author's confirmation (decisions 4.6)"
        assert not self.acknowledged or self.acknowledged[-1][0] < message_id, "ids do not ascend (decisions 4.6)"
        request = self.requests[min(readings) - 1] if len(readings) == 1 else None
        self.acknowledged.append((message_id, request if isinstance(request, wire.PostMessage) else None))

    def _check(self, message: Message) -> None:
        if isinstance(message, wire.NewMessage):
            newest = self._newest.get(message.channel_id, 0)
            assert message.message_id > newest, f"{message}\ncomes after {newest} (decisions 4.6, 4.8)"
            self._newest[message.channel_id] = message.message_id
            self._new.add(message.message_id)
        elif isinstance(message, wire.ChannelCreated | wire.SubchannelCreated) and message.success:
            created = message.channel_id if isinstance(message, wire.ChannelCreated) else message.subchannel_id
            assert created not in self._created, f"told twice: {message}"
            self._created.add(created or 0)
        elif isinstance(message, wire.ServerPresence | wire.ChannelPresence):
            assert message.nickname, f"nobody: {message}"


def _name(request: Request) -> str:
    return request.NAME if isinstance(request, Message) else f"bad {getattr(request, 'name', '')}"
