"""Clients that change more than messages: accounts, keys, channels, direct conversations, bans."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.faults.authors import Act, Actor, Author
from tests.faults.ledger import ABSENT, Claim, Ledger
from tests.faults.subjects import (
    AddressBan,
    Conversation,
    Invite,
    Made,
    Nickname,
    NicknameBan,
    Password,
    Place,
    PublicKey,
    ReadPosition,
    SSHKey,
    Subject,
    Terms,
)

LASTING: Final = "lasting"
"""What the names of channels begin with that nobody deletes."""
HERMIT: Final = "hermit"
"""An account that never says whether it wants to talk."""
RESIDENTS: Final = ("resident-a", "resident-b", "resident-c", "resident-d")

_GENERATED: Final = 1
_BY_NICKNAME: Final = 1
_MOST_KEYS: Final = 20


class Resident(Author):
    """An author with an account, who also has keys, makes channels, reads, and talks with other residents."""

    def __init__(self, reactor: Any, ledger: Ledger, rng: random.Random, login_name: str) -> None:
        super().__init__(reactor, ledger, rng, login_name)
        self._me = login_name
        self._owned: list[int] = []
        self._partners: dict[str, int] = {}

    def acts(self) -> Sequence[tuple[Act, int]]:
        others: list[tuple[Act, int]] = [
            (self.provide_key, 1),
            (self.read, 3),
            (self.make_place, 1),
            (self.talk, 1),
            (self.knock, 1),
        ]
        if len(self._keys()) < _MOST_KEYS:
            others.append((self.add_key, 1))
        if self._partners:
            others.append((self.whisper, 3))
        if self._owned:
            others.append((self.make_part, 1))
        return [*super().acts(), *others]

    def hear(self, message: Message) -> None:
        super().hear(message)
        if isinstance(message, wire.DMReady):
            self._note_conversation(message)

    async def provide_key(self) -> None:
        """Have a new key for direct messages; silence is the answer, and the next one comes after it."""
        key = self.rng.randbytes(32)
        claim = self.ledger.ask(PublicKey(self._me), key)
        self.send(wire.ProvidePublicKey(key_type=_GENERATED, public_key=key, label=""))
        await self._await_silence()
        self.ledger.tell(claim)

    async def read(self) -> None:
        """Say how far one has read."""
        post = self.rng.choice(self.ledger.recent) if self.ledger.recent else None
        if post is None or post.channel_id in self.ledger.doomed:
            return
        timestamp = 1_700_000_000_000 + self.ledger.new_number()
        claim = self.ledger.ask(ReadPosition(self._me, post.channel_id), timestamp)
        self.send(wire.UpdateReadState(channel_id=post.channel_id, timestamp=timestamp))
        await self._await_silence()
        self.ledger.tell(claim)

    async def add_key(self) -> None:
        """Allow another SSH key."""
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + self.rng.randbytes(32)
        fingerprint = "SHA256:" + base64.b64encode(sha256(blob).digest()).decode().rstrip("=")
        claim = self.ledger.ask(SSHKey(fingerprint), self._me)
        line = f"ssh-ed25519 {base64.b64encode(blob).decode()} some@where"
        await self.claim(claim, wire.AddSSHKey(public_key=line, label="laptop"))

    async def make_place(self) -> None:
        """Create a forum, for good or not."""
        number = self.ledger.new_number()
        name = f"{self.rng.choice((LASTING, 'passing'))}-{number}"
        made = Made(1, f"about {number}", self.rng.randint(1, 8760), None)
        claim = self.ledger.ask(Place(name), made)
        message = wire.CreateChannel(
            name=name,
            display_name=name,
            description=made.description,
            channel_type=made.channel_type,
            retention_hours=made.retention_hours,
        )
        if await self.claim(claim, message, lambda answer: answer.channel_id) and name.startswith(LASTING):
            self._owned.append(claim.detail)

    async def make_part(self) -> None:
        """Create a subchannel."""
        number = self.ledger.new_number()
        parent_id = self.rng.choice(self._owned)
        made = Made(1, "", self.rng.randint(1, 8760), parent_id)
        name = f"{LASTING}-part-{number}"
        claim = self.ledger.ask(Place(name), made)
        message = wire.CreateSubchannel(
            channel_id=parent_id,
            name=name,
            description=made.description,
            type=made.channel_type,
            retention_hours=made.retention_hours,
        )
        await self.claim(claim, message, lambda answer: answer.subchannel_id)

    async def talk(self) -> None:
        """Ask another resident for a conversation; it begins at once when both have keys (decisions 6.3)."""
        other = self.rng.choice([name for name in RESIDENTS if name != self._me])
        claim = self.ledger.ask(Conversation(frozenset((self._me, other))), True)
        answer = await self._start(other, unencrypted=False)
        if isinstance(answer, wire.DMReady):
            self._know(other, claim, answer.channel_id)

    async def whisper(self) -> None:
        """Say something in a conversation."""
        await self.begin_thread(self.rng.choice([*self._partners.values()]))

    async def knock(self) -> None:
        """Ask somebody for a conversation who does not answer; the server keeps that."""
        claim = self.ledger.ask(Invite(self._me, HERMIT), True)
        if isinstance(await self._start(HERMIT, unencrypted=True), wire.DMPending):
            self.ledger.tell(claim)

    async def _start(self, other: str, *, unencrypted: bool) -> Message:
        question = wire.StartDM(target_type=_BY_NICKNAME, target_nickname=other, allow_unencrypted=unencrypted)
        answer: Message = await self.ask(question)
        return answer

    def _note_conversation(self, ready: wire.DMReady) -> None:
        pair = frozenset((self._me, ready.other_nickname))
        self._know(ready.other_nickname, self.ledger.ask(Conversation(pair), True), ready.channel_id)

    def _know(self, other: str, claim: Claim, channel_id: int) -> None:
        self.ledger.tell(claim, channel_id)
        self.ledger.private.add(channel_id)
        self._partners[other] = channel_id

    def _keys(self) -> list[SSHKey]:
        return [key for key in self.ledger.subjects(SSHKey) if self.ledger.claims[key][-1].value == self._me]

    async def _await_silence(self) -> None:
        """What was asked before has been done when this is answered, as requests are answered in their order."""
        await self.ask(wire.Ping(timestamp=self.ledger.new_number()))


class Newcomer(Actor):
    """One who registers, and then either has one password after another, or one name after another."""

    def __init__(self, reactor: Any, ledger: Ledger, rng: random.Random) -> None:
        super().__init__(reactor, ledger, rng)
        self.most_lines = 1
        self._secret = ""
        self._keeps_its_name = rng.random() < 0.5

    def acts(self) -> Sequence[tuple[Act, int]]:
        if not self._secret:
            return [(self.register, 1)]
        return [(self.change_password if self._keeps_its_name else self.rename, 1)]

    async def register(self) -> None:
        """Make an account of the nickname."""
        secret = self._new_secret()
        claim = self.ledger.ask(Password(self.nickname), secret)
        if await self.claim(claim, wire.RegisterUser(password_hash=secret)):
            self._secret = secret

    async def change_password(self) -> None:
        """Have another password."""
        secret = self._new_secret()
        claim = self.ledger.ask(Password(self.nickname), secret)
        message = wire.ChangePassword(old_password_hash=self._secret, new_password_hash=secret)
        if await self.claim(claim, message):
            self._secret = secret

    async def rename(self) -> None:
        """Have another nickname; the account is logged in to by the old one (decisions 2.5)."""
        name = f"named{self.ledger.new_number()}"
        claim = self.ledger.ask(Nickname(self.nickname), name)
        await self.claim(claim, wire.SetNickname(nickname=name))

    def _new_secret(self) -> str:
        return f"{self.ledger.new_number():0>43}"


class Warden(Actor):
    """A moderator or admin: bans people who are not here, lifts bans, and as an admin also addresses and channels."""

    def __init__(
        self, reactor: Any, ledger: Ledger, rng: random.Random, login_name: str, *, is_admin: bool
    ) -> None:
        super().__init__(reactor, ledger, rng, login_name)
        self.most_lines = 2
        self._is_admin = is_admin

    def acts(self) -> Sequence[tuple[Act, int]]:
        acts: list[tuple[Act, int]] = [(self.ban, 4), (self.unban, 2)]
        if self._is_admin:
            acts += [(self.ban_address, 4), (self.unban_address, 2), (self.demolish, 1)]
        return acts

    async def ban(self) -> None:
        """Ban a nickname, or only hide what it would say."""
        number = self.ledger.new_number()
        terms = Terms(f"reason {number}", self.rng.random() < 0.3, self.nickname)
        subject = NicknameBan(f"troll{number}")
        message = wire.BanUser(nickname=subject.nickname, reason=terms.reason, shadowban=terms.shadowban)
        await self.claim(self.ledger.ask(subject, terms), message)

    async def unban(self) -> None:
        """Lift a ban of one's own."""
        subject = self._one_of(NicknameBan)
        if subject is None:
            await self.ban()
        else:
            await self._lift(subject, wire.UnbanUser(nickname=subject.nickname))

    async def ban_address(self) -> None:
        """Ban an address, or a network, that nobody here has."""
        number = self.ledger.new_number()
        address = f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::" + self.rng.choice(("1", "/64"))
        terms = Terms(f"reason {number}", False, self.nickname)
        message = wire.BanIP(ip_cidr=address, reason=terms.reason)
        await self.claim(self.ledger.ask(AddressBan(address), terms), message)

    async def unban_address(self) -> None:
        """Lift a ban of one's own."""
        subject = self._one_of(AddressBan)
        if subject is None:
            await self.ban_address()
        else:
            await self._lift(subject, wire.UnbanIP(ip_cidr=subject.ip_cidr))

    async def demolish(self) -> None:
        """Delete a channel that was not made for good, with everything in it."""
        place = self._one_of(Place)
        if place is None:
            await self.ban()
            return
        channel_id = self.ledger.claims[place][-1].detail
        self.ledger.doomed.add(channel_id)
        await self._lift(place, wire.DeleteChannel(channel_id=channel_id, reason="no longer needed"))

    async def _lift(self, subject: Subject, message: Message) -> None:
        await self.claim(self.ledger.ask(subject, ABSENT), message)

    def _one_of(self, kind: type[Any]) -> Any:
        """One that only this actor may change."""
        found = [subject for subject in self.ledger.settled(kind) if self._may_end(subject)]
        return self.rng.choice(found) if found else None

    def _may_end(self, subject: Subject) -> bool:
        if isinstance(subject, Place):
            return not subject.name.startswith(LASTING)
        value = self.ledger.value(subject)
        return isinstance(value, Terms) and value.banned_by == self.nickname
