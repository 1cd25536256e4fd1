"""The command that prints new messages as they come."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from superchat.tools.cli_ask import Questions
from superchat.tools.cli_excerpts import Excerpts
from superchat.tools.cli_follow import Follower, Listen
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Output, Shown
from superchat.wire import messages as wire
from superchat.wire.messages import MessageEntry
from superchat.wire.records import Message


async def tail(clock: IReactorTime, listen: Listen, options: Options, output: Output) -> None:
    """Print what is said in some channels. Does not end by itself, unless all of them are deleted."""
    view = TailView(output, name_channels=options.json or len(options.channels) > 1)

    async def find(questions: Questions) -> list[Channel]:
        return [await questions.channel(name) for name in options.channels]

    await Follower(clock, listen, options, output, view, find=find, join=False).run()


class TailView:
    """Prints messages; says of replies what they answer."""

    def __init__(self, output: Output, *, name_channels: bool) -> None:
        self._output = output
        self._name_channels = name_channels
        self._excerpts = Excerpts()

    def known(self, entry: MessageEntry) -> None:
        """Replies may answer it."""
        self._excerpts.remember(entry)

    def message(self, entry: MessageEntry, channel: Channel | None) -> None:
        """Print a message, with the beginning of the one it answers."""
        reply_to = None if entry.parent_id is None else self._excerpts.of(entry.parent_id)
        label = channel.label if channel is not None and self._name_channels else None
        self._output.message(entry, Shown(channel=label, reply_to=reply_to))
        self._excerpts.remember(entry)

    def edited(self, event: wire.MessageEdited) -> None:
        """Print the new text."""
        self._output.edited(event)

    def deleted(self, event: wire.MessageDeleted) -> None:
        """Print what stands in its place."""
        self._output.deleted(event)

    def presence(self, event: wire.ChannelPresence) -> None:
        """Who comes and goes is not what one reads here."""

    def direct(self, event: Message) -> None:
        """Nor are private conversations."""

    def entered(self) -> None:
        """There is nothing to be done about it."""
