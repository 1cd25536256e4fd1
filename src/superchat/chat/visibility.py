"""Which messages exist for whom, in one place: what may not be seen is answered as what does not exist."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from superchat.chat.bans import Bans
from superchat.chat.channels import ChannelDirectory
from superchat.chat.session import Session
from superchat.errors import Refused
from superchat.model import Message, View
from superchat.storage.interface import IStorage
from superchat.wire.errors import ErrorCode

NO_SUCH_MESSAGE = "Message not found"


def wrote(session: Session, message: Message) -> bool:
    """Whether a message is *session*'s own: its account's, or posted by this very session (decisions 3.3, 4.12)."""
    if message.author_session == session.key:
        return True
    return message.author_id is not None and message.author_id == session.account_id


def no_such_message() -> Refused:
    """What is said of a message that does not exist, or that the session must not know of."""
    return Refused(ErrorCode.MESSAGE_NOT_FOUND, NO_SUCH_MESSAGE)


@attrs.frozen
class Visibility:
    """Whether a message exists for a session: not in somebody else's direct conversation (decisions 3.2), and not
    when its author is shadowbanned, unless it is its own or it moderates (decisions 7.2)."""

    storage: IStorage
    directory: ChannelDirectory
    bans: Bans

    @property
    def strangers(self) -> View:
        """Through whose eyes everybody reads who has no rights, and wrote nothing."""
        return View(accounts=self.bans.hidden_accounts, names=self.bans.hidden_names)

    @property
    def withholds(self) -> bool:
        """Whether anything at all may be withheld from anybody now."""
        return bool(self.bans.hidden_accounts or self.bans.hidden_names)

    async def find(self, session: Session, message_id: int) -> Message | None:
        """The message, its replies counted as *session* may know of them; None when it does not exist for it."""
        message: Message | None = await self.storage.message(message_id, self.bans.view(session))
        if message is None:
            return None
        channel = self.directory.get(message.channel_id)
        return message if channel is not None and self.directory.admits(session, channel) else None

    async def existing(self, session: Session, message_id: int) -> Message:
        """The same, for those who need it. Raises `Refused`: 4002."""
        message = await self.find(session, message_id)
        if message is None:
            raise no_such_message()
        return message

    async def hidden(self, message_id: int) -> bool:
        """Whether strangers may not know of a message; asks the storage, which knows deleted accounts' messages."""
        return self.withholds and await self.storage.message(message_id, self.strangers) is None

    def audience(self, sessions: Collection[Session], message: Message, *, hidden: bool) -> Collection[Session]:
        """Those of *sessions* who may be told of *message*; *hidden* is what the method of that name said.

        It goes by who is shadowbanned now: who was banned while the message was on its way is not heard any more.
        """
        channel = self.directory.get(message.channel_id)
        if channel is None:
            return ()
        if hidden or self.bans.withholds(message):
            sessions = [each for each in sessions if each.moderates or wrote(each, message)]
        if channel.is_direct:
            sessions = [each for each in sessions if self.directory.admits(each, channel)]
        return sessions
