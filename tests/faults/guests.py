"""People who do what no load test does: they log in, answer, edit, delete, read, and leave in all kinds of ways."""

from __future__ import annotations

import random
import threading
import traceback
from contextlib import closing

from superchat.wire import messages as wire
from tests.e2e.peers import Peer, TCPStream, WebSocketStream
from tests.e2e.phrases import page, posting
from tests.faults.soaked import LOUNGE, SoakedServer

ACCOUNTS = 8
PAUSE_SECONDS = 0.05
LOGIN_EVERY = 10
"""Of so many visits one is that of an account: computing its password takes the server longer than all the others."""
GARBAGE = b"\x00\x00\x00\x04\x02\xff\x00\x00"


class Guests:
    """One guest after the other, from `begin` to `end`; what they posted and saw acknowledged is counted."""

    def __init__(self, soaked: SoakedServer, chance: random.Random) -> None:
        self.posts = self.visits = 0
        self.trouble = ""
        """How the first visit ended that did not go as it should."""
        self._running = soaked.running
        self._chance = chance
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def settle(self) -> None:
        """Make the accounts."""
        for number in range(ACCOUNTS):
            with closing(self._come(number)) as peer:
                peer.named(_name(number))
                peer.send(wire.RegisterUser(password_hash=_secret(number)))
                peer.until(wire.RegisterResponse, success=True)

    def begin(self) -> None:
        """Let them come."""
        self._is_over.clear()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let no more come, and wait until the last has left."""
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._is_over.wait(PAUSE_SECONDS) and not self.trouble:
            try:
                with closing(self._come(self.visits)) as peer:
                    self._stay(peer)
            except Exception:  # noqa: BLE001 (whatever it was, it is told)
                self.trouble = traceback.format_exc()
            self.visits += 1

    def _come(self, number: int) -> Peer:
        running = self._running
        return Peer(WebSocketStream(running.http_port) if number % 3 == 0 else TCPStream(running.port))

    def _stay(self, peer: Peer) -> None:
        account = None if self.visits % LOGIN_EVERY else self.visits // LOGIN_EVERY % ACCOUNTS
        if account is None:
            peer.named(f"guest{self.visits % 100:02}")
        else:
            peer.send(wire.AuthRequest(nickname=_name(account), password_hash=_secret(account)))
            peer.until(wire.AuthResponse, success=True)
        peer.send(wire.SubscribeChannel(channel_id=LOUNGE))
        peer.until(wire.SubscribeOk)
        root = self._post(peer, b"root of %d" % self.visits)
        peer.send(wire.SubscribeThread(thread_id=root))
        peer.until(wire.SubscribeOk)
        reply = self._post(peer, b"reply", root)
        if account is not None:
            peer.send(wire.EditMessage(message_id=root, new_content=b"root, edited"))
            peer.until(wire.MessageEdited, success=True, message_id=root)
            peer.send(wire.DeleteMessage(message_id=reply))
            peer.until(wire.MessageDeleted, success=True, message_id=reply)
        peer.send(page(LOUNGE, limit=20), wire.ListMessages(channel_id=LOUNGE, parent_id=root, limit=20))
        peer.until(wire.MessageList)
        peer.until(wire.MessageList)
        self._leave(peer)

    def _post(self, peer: Peer, text: bytes, parent_id: int | None = None) -> int:
        peer.send(posting(LOUNGE, text, parent_id))
        posted = peer.until(wire.MessagePosted, success=True)
        self.posts += 1
        return posted.message_id

    def _leave(self, peer: Peer) -> None:
        """With a word, without one, in the middle of a frame, or thrown out."""
        match self._chance.randrange(4):
            case 0:
                peer.send(wire.Disconnect())
                peer.rest()
            case 1:
                peer.stream.send(GARBAGE[:5])
            case 2:
                peer.stream.send(b"\xff" * 20)
                peer.rest()


def _name(number: int) -> str:
    return f"resident{number}"


def _secret(number: int) -> str:
    return chr(ord("a") + number) * 43
