"""Changing and taking back what was posted, and who hears of it."""

from __future__ import annotations

from itertools import chain
from typing import Final

import attrs
from twisted.logger import Logger

from superchat.chat.channels import ChannelDirectory
from superchat.chat.posting import check_length, clean
from superchat.chat.reading import shown, shown_session
from superchat.chat.registry import ChannelRegistry
from superchat.chat.session import Session
from superchat.chat.visibility import Visibility, no_such_message, wrote
from superchat.clocks import NowMs
from superchat.errors import Refused
from superchat.model import Message, NewAct
from superchat.storage.errors import AlreadyDeleted, UnknownMessage
from superchat.storage.interface import IStorage
from superchat.wire import messages as wire
from superchat.wire.errors import ErrorCode
from superchat.wire.records import Message as WireMessage

_DELETED: Final = "Cannot edit deleted message"
_DELETED_TWICE: Final = "Message is already deleted"


@attrs.frozen
class Editing:
    """EDIT_MESSAGE and DELETE_MESSAGE. Nothing is confirmed or told before it is committed (decisions 4.6).

    They refuse in the reference's order: a message that does not exist for the session, then rights, then a deleted
    message (reference 2.3). Between the look at rights and the change nothing is waited for.
    """

    storage: IStorage
    directory: ChannelDirectory
    visibility: Visibility
    registry: ChannelRegistry
    now_ms: NowMs
    longest_message: int
    activity: Logger

    async def edit(self, session: Session, message: wire.EditMessage) -> None:
        """wire 0x0B: for the author's account, moderators and admins; these may edit anonymous messages too, which
        the reference lets nobody do (decisions 3.3)."""
        check_length(message.new_content, self.longest_message)
        hidden = await self.visibility.hidden(message.message_id)
        original = await self.visibility.existing(session, message.message_id)
        if session.closed:
            return
        if not session.moderates and original.author_id != session.account_id:
            anonymous = original.author_id is None
            text = "Cannot edit anonymous messages" if anonymous else "You can only edit your own messages"
            raise Refused(ErrorCode.PERMISSION_DENIED, text)
        if original.deleted_at is not None:
            raise Refused(ErrorCode.INVALID_INPUT, _DELETED)
        content = clean(message.new_content, self.directory.find(session, original.channel_id))
        act, name = self._act(session, original, "edit_message"), shown_session(session)
        try:
            edited: Message = await self.storage.edit_message(original.id, content, self.now_ms(), name, act)
        except UnknownMessage as error:
            raise no_such_message() from error
        except AlreadyDeleted as error:
            raise Refused(ErrorCode.INVALID_INPUT, _DELETED) from error
        self._log(name, "EDIT_MESSAGE", edited)
        notice = wire.MessageEdited(
            success=True, message_id=edited.id, edited_at=edited.edited_at, new_content=edited.content, message=""
        )
        self._tell(session, edited, notice, hidden=hidden)

    async def delete(self, session: Session, message: wire.DeleteMessage) -> None:
        """wire 0x0C: for the author's account, the session that posted it, moderators and admins (decisions 3.3)."""
        hidden = await self.visibility.hidden(message.message_id)
        original = await self.visibility.existing(session, message.message_id)
        if session.closed:
            return
        if not session.moderates and not wrote(session, original):
            raise Refused(ErrorCode.PERMISSION_DENIED, "You can only delete your own messages")
        if original.deleted_at is not None:
            raise Refused(ErrorCode.INVALID_INPUT, _DELETED_TWICE)
        act, name = self._act(session, original, "delete_message"), shown_session(session)
        text = f"[deleted by {name}]".encode()
        try:
            tombstone: Message = await self.storage.delete_message(original.id, text, self.now_ms(), name, act)
        except UnknownMessage as error:
            raise no_such_message() from error
        except AlreadyDeleted as error:
            raise Refused(ErrorCode.INVALID_INPUT, _DELETED_TWICE) from error
        self._log(name, "DELETE_MESSAGE", tombstone)
        notice = wire.MessageDeleted(
            success=True, message_id=tombstone.id, deleted_at=tombstone.deleted_at, message=tombstone.content
        )
        self._tell(session, tombstone, notice, hidden=hidden)

    def _tell(self, actor: Session, message: Message, notice: WireMessage, *, hidden: bool) -> None:
        """Once to the actor, as the reply, and once to everyone else joined, subscribed to the channel, or subscribed
        to the thread (decisions 4.8), as far as they may know of the message (decisions 7.2)."""
        actor.reply(notice)
        others = dict.fromkeys(
            chain(self.registry.audience(message.channel_id), self.registry.thread_subscribers(message.root_id))
        )
        others.pop(actor, None)
        self.registry.publish(self.visibility.audience(others.keys(), message, hidden=hidden), notice)

    def _act(self, session: Session, message: Message, action: str) -> NewAct | None:
        """What the audit log says of a change to somebody else's message (decisions 7.3); never the text."""
        if wrote(session, message):
            return None
        return NewAct(
            actor=session.nickname or "",
            actor_id=session.account_id,
            address=session.address,
            action=action,
            target_type="message",
            target_id=message.id,
            target=shown(message),
            details=f"channel={message.channel_id}",
            performed_at=self.now_ms(),
        )

    def _log(self, name: str, what: str, message: Message) -> None:
        self.activity.info(
            "{name} {what} channel={channel} message={message}",
            name=name,
            what=what,
            channel=message.channel_id,
            message=message.id,
        )
