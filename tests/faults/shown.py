"""Looks at a server through the eyes of clients: what they are shown is what is stored, and what was acknowledged."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.peers import Peer
from tests.e2e.phrases import page
from tests.e2e.server import RunningServer
from tests.faults.authors import SECRET
from tests.faults.cast import ADMIN
from tests.faults.ledger import Claim, Ledger
from tests.faults.residents import HERMIT, RESIDENTS
from tests.faults.stored import Row, Stored
from tests.faults.subjects import AddressBan, Conversation, Invite, NicknameBan, Password, ReadPosition, SSHKey

LARGEST_PAGE: Final = 200


class Visit:
    """A look at a server that nobody changes meanwhile; `stored` is what is in its database."""

    def __init__(
        self, case: SynchronousTestCase, server: RunningServer, stored: Stored, ledger: Ledger, rng: random.Random
    ) -> None:
        self._case = case
        self._server = server
        self._stored = stored
        self._ledger = ledger
        self._rng = rng

    def complaints(self) -> list[str]:
        """What is not shown as it should be."""
        with_account = [self._as_hermit(), self._as_admin(), self._as_resident(self._rng.choice(RESIDENTS))]
        guest = peers.connect(self._case, self._server)
        found = [*self._channels_wrong(guest), *self._pages_wrong(guest), *self._banned_admitted(guest)]
        guest.close()
        return [*found, *self._newcomers_locked_out(), *(each for some in with_account for each in some)]

    # As a guest

    def _channels_wrong(self, guest: Peer) -> Iterator[str]:
        shown = guest.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
        public = [each for each in self._stored.channels.values() if not each.is_direct]
        top = [(each.id, each.name) for each in sorted(public, key=lambda each: each.id) if each.parent_id is None]
        if [(each.channel_id, each.name) for each in shown] != top:
            yield f"the channels {shown} are shown, and there are {top}"

    def _pages_wrong(self, guest: Peer) -> Iterator[str]:
        for channel in self._stored.channels.values():
            if not channel.is_direct:
                yield from self._channel_wrong(guest, channel.id)

    def _channel_wrong(self, peer: Peer, channel_id: int) -> Iterator[str]:
        """Walk through the whole channel, and each thread in it, as a client does."""
        rows = [row for row in self._stored.rows.values() if row.channel_id == channel_id]
        wanted = [self._entry(row) for row in rows if row.parent_id is None and row.is_visible]
        shown = walk(peer, channel_id)
        if shown != wanted:
            yield f"channel {channel_id} is shown as {_ids(shown)}, and is {_ids(wanted)}: {_difference(shown, wanted)}"
        threads = [each.message_id for each in wanted if each.reply_count]
        peer.send(*(page(channel_id, LARGEST_PAGE, parent_id=root_id) for root_id in threads))
        children = _children(rows)
        for root_id in threads:
            replies = [*peer.until(wire.MessageList).messages]
            below = [self._entry(row) for row in subtree(root_id, children)]
            if len(below) <= LARGEST_PAGE and replies != below:
                difference = _difference(replies, below)
                yield f"thread {root_id} is shown as {_ids(replies)}, and is {_ids(below)}: {difference}"

    def _entry(self, row: Row) -> wire.MessageEntry:
        return wire.MessageEntry(
            message_id=row.id,
            channel_id=row.channel_id,
            parent_id=row.parent_id,
            author_user_id=row.author_id,
            author_nickname=self._stored.shown_name(row),
            content=row.content,
            created_at=row.created_at,
            edited_at=row.edited_at,
            reply_count=row.reply_count,
        )

    def _banned_admitted(self, guest: Peer) -> Iterator[str]:
        bans = [ban for ban in self._ledger.settled(NicknameBan) if not self._ledger.value(ban).shadowban]
        for ban in self._rng.sample(bans, min(len(bans), 3)):
            guest.send(wire.SetNickname(nickname=ban.nickname))
            if guest.until(wire.NicknameResponse).success:
                yield f"{ban.nickname} is banned, and somebody may have the name"

    # With an account

    def _log_in(self, login_name: str, secret: str = SECRET) -> tuple[Peer, wire.AuthResponse]:
        peer = peers.connect(self._case, self._server)
        peer.send(wire.AuthRequest(nickname=login_name, password_hash=secret))
        return peer, peer.until(wire.AuthResponse)

    def _newcomers_locked_out(self) -> Iterator[str]:
        """The latest passwords let in; each try takes 80 ms, so these are few."""
        passwords: Sequence[Password] = [each for each in self._ledger.settled(Password) if self._is_own(each)]
        for password in passwords[-2:]:
            peer, answer = self._log_in(password.login_name, self._ledger.value(password))
            account = self._stored.accounts.get(password.login_name)
            if not answer.success or account is None or answer.nickname != account.nickname:
                yield f"{password.login_name} cannot log in with the acknowledged password: {answer}"
            peer.close()

    def _is_own(self, password: Password) -> bool:
        return bool(self._ledger.value(password) != SECRET)

    def _as_hermit(self) -> list[str]:
        """Who waits for an answer is still waiting."""
        peer, _ = self._log_in(HERMIT)
        asked = {each.from_nickname for each in peer.caught_up() if isinstance(each, wire.DMRequest)}
        peer.close()
        invites = [each for each in self._stored.values if isinstance(each, Invite)]
        waiting = {invite.initiator for invite in invites if invite.target == HERMIT}
        return [] if asked == waiting else [f"{HERMIT} is asked by {asked}, and {waiting} are waiting"]

    def _as_admin(self) -> list[str]:
        """All bans are listed."""
        peer, _ = self._log_in(ADMIN)
        peer.send(wire.ListBans(include_expired=True))
        entries = peer.until(wire.BanList).bans
        peer.close()
        listed = {NicknameBan(each.nickname) if each.nickname else AddressBan(each.ip_cidr or "") for each in entries}
        bans = {each for each in self._stored.values if isinstance(each, (NicknameBan, AddressBan))}
        return [] if listed == bans else [f"the bans that differ in the list are {listed ^ bans}"]

    def _as_resident(self, name: str) -> list[str]:
        """Keys, conversations and read positions are as they were."""
        peer, answer = self._log_in(name)
        peer.send(wire.ListSSHKeys())
        fingerprints = {each.fingerprint for each in peer.until(wire.SSHKeyList).keys}
        found = []
        values = self._stored.values
        keys = {each.fingerprint for each, owner in values.items() if isinstance(each, SSHKey) and owner == [name]}
        if fingerprints != keys:
            found.append(f"{name} is shown the keys {fingerprints}, and has {keys}")
        found += self._unread_wrong(peer, name, answer.user_id)
        found += self._conversations_wrong(peer, name)
        peer.close()
        return found

    def _unread_wrong(self, peer: Peer, name: str, user_id: int | None) -> Iterator[str]:
        read = {each.channel_id: at for each, (at, *_) in self._read_positions(name)}
        targets = tuple(wire.UnreadTarget(channel_id=channel_id) for channel_id in read)
        peer.send(wire.GetUnreadCounts(targets=targets))
        counts = {each.channel_id: each.unread_count for each in peer.until(wire.UnreadCounts).counts}
        unread = dict.fromkeys(read, 0)
        for row in self._stored.rows.values():
            since = read.get(row.channel_id)
            if since is not None and row.created_at > since and row.deleted_at is None and row.author_id != user_id:
                unread[row.channel_id] += 1
        if counts != unread:
            yield f"{name} is told of {counts} unread messages, and there are {unread}"

    def _read_positions(self, name: str) -> Iterator[tuple[ReadPosition, list[int]]]:
        for subject, values in self._stored.values.items():
            if isinstance(subject, ReadPosition) and subject.login_name == name:
                yield subject, values

    def _conversations_wrong(self, peer: Peer, name: str) -> Iterator[str]:
        """Who asks again is given the same conversation, with what was said in it."""
        for subject in self._ledger.settled(Conversation):
            if name not in subject.login_names:
                continue
            (other,) = subject.login_names - {name}
            peer.send(wire.StartDM(target_type=1, target_nickname=other, allow_unencrypted=False))
            ready = peer.until(wire.DMReady)
            told = {claim.detail for claim in self._ledger.claims[subject] if _has_id(claim)}
            if told - {ready.channel_id}:
                yield f"{name} talked with {other} in {told}, and now does in {ready.channel_id}"
            yield from self._channel_wrong(peer, ready.channel_id)


def walk(peer: Peer, channel_id: int) -> list[wire.MessageEntry]:
    """All threads of a channel, page by page, oldest first."""
    shown: list[wire.MessageEntry] = []
    while True:
        after_id = shown[-1].message_id if shown else 0
        peer.send(page(channel_id, LARGEST_PAGE, after_id=after_id))
        found = peer.until(wire.MessageList).messages
        shown += found
        if len(found) < LARGEST_PAGE:
            return shown


def subtree(parent_id: int, children: Mapping[int, Sequence[Row]]) -> Iterator[Row]:
    """What is shown below a message: depth first, siblings by time."""
    for row in children.get(parent_id, ()):
        if row.is_visible:
            yield row
        yield from subtree(row.id, children)


def _children(rows: Sequence[Row]) -> dict[int, list[Row]]:
    children: dict[int, list[Row]] = {}
    for row in rows:
        if row.parent_id is not None:
            children.setdefault(row.parent_id, []).append(row)
    return children


def _has_id(claim: Claim) -> bool:
    return claim.is_told and claim.detail is not None


def _ids(entries: Sequence[wire.MessageEntry]) -> list[int]:
    return [entry.message_id for entry in entries]


def _difference(shown: Sequence[wire.MessageEntry], wanted: Sequence[wire.MessageEntry]) -> list[wire.MessageEntry]:
    """The first entries that differ."""
    return [each for pair in zip(shown, wanted, strict=False) if pair[0] != pair[1] for each in pair][:2]
