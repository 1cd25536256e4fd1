"""Clients that write as fast as they are answered, and note in a ledger what they ask for and what they are told."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectError

from superchat.chat.accounts import BUSY
from superchat.client import ChatClient, ConnectionClosed, ServerRefused, connect
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.e2e.phrases import CHAT, GENERAL, TECH, posting
from tests.faults.ledger import ABSENT, Claim, Ledger, Post
from tests.faults.subjects import Place, Text

SECRET: Final = "s" * 43
"""What `cast.admit` gives every account for a password, as clients send it."""
MOST_LINES: Final = 8
PATIENCE_SECONDS: Final = 60.0

_FORUM: Final = 1
_MOST_THREADS: Final = 20
_SIZES: Final = (0, 10, 100, 3000)

Act = Callable[[], Awaitable[object]]


class Actor:
    """A client with several requests under way at once, from the moment it has entered until the server is gone.

    `login_name` is that of the account it logs in to; without one it enters under a nickname of its own.
    """

    def __init__(self, reactor: Any, ledger: Ledger, rng: random.Random, login_name: str | None = None) -> None:
        self.ledger = ledger
        self.rng = rng
        self.number = ledger.new_number()
        self.login_name = login_name
        self.nickname = login_name or f"guest{self.number}"
        self.entered: Deferred[None] = Deferred()
        """Fires when it begins to work, or never will."""
        self.most_lines = MOST_LINES
        self._reactor = reactor
        self._finishing = False
        self._unanswered: set[bytes] = set()
        self._client: ChatClient

    async def run(self, port: int) -> None:
        """Work until the server is gone, or `finish` is called. Raises what a client must never meet."""
        try:
            self._client = await connect(self._reactor, "127.0.0.1", port, on_event=self.hear)
            await self.enter()
            self._tell_entered()
            lines = range(self.rng.randint(1, self.most_lines))
            await gatherResults([Deferred.fromCoroutine(self._work()) for _ in lines], consumeErrors=True)
            await self._client.close()
        except (ConnectionClosed, ConnectError):
            pass  # the end may come before the client
        finally:
            self._tell_entered()

    def finish(self) -> None:
        """Ask for nothing more, take the answers, and leave."""
        self._finishing = True

    # What actors are made of

    async def enter(self) -> None:
        """Log in or take a nickname."""
        if self.login_name is None:
            named = await self.ask(wire.SetNickname(nickname=self.nickname))
            self.expect(named.success, f"{self.nickname} cannot be taken: {named.message}")
            return
        known = await self.ask(wire.AuthRequest(nickname=self.login_name, password_hash=SECRET))
        self.expect(known.success or known.message == BUSY, f"{self.login_name} cannot log in: {known.message}")

    def acts(self) -> Sequence[tuple[Act, int]]:
        """What it can do now, and how much it likes to."""
        raise NotImplementedError

    def hear(self, message: Message) -> None:
        """Note what the server says unasked."""
        if isinstance(message, wire.NewMessage):
            self.ledger.hear(self.number, message)
            early = message.content in self._unanswered
            self.expect(not early, f"the author of {message.message_id} got NEW_MESSAGE before MESSAGE_POSTED")
        elif isinstance(message, wire.Error):
            self.expect(bool(self.ledger.doomed), f"{self.nickname} was told out of the blue: {message}")

    async def ask(self, message: Message) -> Any:
        """The answer to a request."""
        return await self._client.request(message, PATIENCE_SECONDS)

    def send(self, message: Message) -> None:
        """Say what is never answered."""
        self._client.send(message)

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Complain unless something is so."""
        if not is_so:
            self.ledger.complain(otherwise)

    async def claim(self, claim: Claim, message: Message, detail: Callable[[Any], Any] = lambda answer: None) -> bool:
        """Ask for what was just noted, and note the success; `detail` of the answer is kept with it."""
        answer = await self.ask(message)
        if not answer.success:
            # A server that stops computes no more passwords, and says so.
            is_busy = BUSY in (getattr(answer, "error_message", ""), getattr(answer, "message", ""))
            self.expect(is_busy, f"{self.nickname} was refused {message}: {answer}")
            return False
        self.ledger.tell(claim, detail(answer))
        return True

    async def in_a_place(self, channel_id: int, act: Awaitable[object]) -> bool:
        """Do something in a channel, which may be gone by then; whether it was done."""
        try:
            await act
        except ServerRefused as refused:
            doomed = channel_id in self.ledger.doomed
            self.expect(doomed, f"{self.nickname} was refused something in channel {channel_id}: {refused}")
            return False
        return True

    async def _work(self) -> None:
        try:
            while not self._finishing:
                acts, weights = zip(*self.acts(), strict=True)
                await self.rng.choices(acts, weights)[0]()
        except ConnectionClosed:
            pass

    def _tell_entered(self) -> None:
        if not self.entered.called:
            self.entered.callback(None)


class Author(Actor):
    """One who posts, replies and deletes; with an account also edits, also what it posted in earlier sessions."""

    def __init__(self, reactor: Any, ledger: Ledger, rng: random.Random, login_name: str | None = None) -> None:
        super().__init__(reactor, ledger, rng, login_name)
        self._threads = 0
        self._mine: list[Post] = []
        if login_name is not None:
            self._mine = [post for post in ledger.told_posts() if post.login_name == login_name and self._is_ours(post)]

    async def enter(self) -> None:
        await super().enter()
        for place in self.rng.sample((CHAT, GENERAL, TECH), self.rng.randint(1, 3)):
            await self.ask(wire.SubscribeChannel(channel_id=place))

    def acts(self) -> Sequence[tuple[Act, int]]:
        acts: list[tuple[Act, int]] = [(self.post, 8), (self.reply, 12)]
        if self._mine:
            acts.append((self.delete, 4))
        if self._mine and self.login_name is not None:
            acts.append((self.edit, 6))
        if self.ledger.recent and self._threads < _MOST_THREADS:
            acts.append((self.follow, 2))
        return acts

    async def post(self) -> None:
        """Begin a thread."""
        made = [self.ledger.claims[place][-1].detail for place in self.ledger.settled(Place)]
        await self.begin_thread(self.rng.choice((CHAT, GENERAL, TECH, *made)))

    async def begin_thread(self, channel_id: int) -> None:
        """Post in a channel, as a reply to nothing."""
        await self._post(channel_id, None)

    async def reply(self) -> None:
        """Answer one of the latest messages."""
        forum = [post for post in self.ledger.recent if post.channel_id != CHAT]
        if forum:
            parent = self.rng.choice(forum)
            await self._post(parent.channel_id, parent.message_id)
        else:
            await self.post()

    async def edit(self) -> None:
        """Change one of one's messages."""
        post = self.rng.choice(self._mine)
        content = self._words()
        claim = self.ledger.ask(Text(post.message_id), content)
        change = wire.EditMessage(message_id=post.message_id, new_content=content)
        asking = self.claim(claim, change, lambda answer: (answer.edited_at, answer.new_content))
        if not await self.in_a_place(post.channel_id, asking) and post in self._mine:
            self._mine.remove(post)

    async def delete(self) -> None:
        """Take back one of one's messages."""
        post = self._mine.pop(self.rng.randrange(len(self._mine)))
        claim = self.ledger.ask(Text(post.message_id), ABSENT)
        change = wire.DeleteMessage(message_id=post.message_id)
        asking = self.claim(claim, change, lambda answer: (answer.deleted_at, answer.message))
        await self.in_a_place(post.channel_id, asking)

    async def follow(self) -> None:
        """Subscribe to the thread of one of the latest messages."""
        self._threads += 1
        post = self.rng.choice(self.ledger.recent)
        try:
            await self.ask(wire.SubscribeThread(thread_id=post.message_id))
        except ServerRefused as refused:
            is_gone = post.channel_id in self.ledger.doomed or self.ledger.value(Text(post.message_id)) is ABSENT
            self.expect(is_gone, f"{self.nickname} may not follow {post}: {refused}")

    async def _post(self, channel_id: int, parent_id: int | None) -> None:
        content = self._words()
        post = self.ledger.ask_post(self.number, self.nickname, self.login_name, channel_id, parent_id, content)
        self._unanswered.add(content)
        await self.in_a_place(channel_id, self._say(post))

    async def _say(self, post: Post) -> None:
        answer = await self.ask(posting(post.channel_id, post.content, post.parent_id))
        self._unanswered.discard(post.content)
        self.ledger.tell_post(post, answer.message_id)
        self._mine.append(post)

    def _words(self) -> bytes:
        return f"{self.nickname} {self.ledger.new_number()} ".encode() + b"x" * self.rng.choice(_SIZES)

    def _is_ours(self, post: Post) -> bool:
        """Whether it is sure that there still is such a message."""
        text = Text(post.message_id)
        in_doubt = not self.ledger.is_settled(text) or post.channel_id in self.ledger.doomed
        return not in_doubt and self.ledger.value(text) is not ABSENT
