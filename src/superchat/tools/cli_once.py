"""The commands that ask once and end: post, threads, read, channels, users."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from superchat.tools.cli_ask import USERS_LIMIT, Declined, Questions, indented
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output, Shown
from superchat.wire import messages as wire

LONGEST_CONTENT_BYTES: Final = 65535  # of a string on the wire

Command = Callable[[Questions, Options, Output], Awaitable[None]]


async def identify(questions: Questions, options: Options) -> None:
    """Take the nickname that was asked for; reading needs none."""
    if options.nickname is not None:
        await questions.introduce(options.nickname, options.login)


def typed() -> bytes:
    """Read a message from standard input, without the line end a shell or editor puts behind it."""
    # What is longer than a message can be is refused when it is encoded; there is no use in reading on.
    content = sys.stdin.buffer.read(LONGEST_CONTENT_BYTES + 3)
    return content.removesuffix(b"\n").removesuffix(b"\r")


async def post(questions: Questions, options: Options, output: Output) -> None:
    """Post a message; print its id."""
    content = typed() if options.text == "-" else os.fsencode(options.text)
    await questions.introduce(options.nickname, options.login)
    channel = await questions.channel(options.channel)
    request = wire.PostMessage(channel_id=channel.channel_id, parent_id=options.message_id, content=content)
    reply: wire.MessagePosted = await questions.ask(request)
    if not reply.success:
        raise Declined(reply.message)
    output.posted(reply.message_id)


async def threads(questions: Questions, options: Options, output: Output) -> None:
    """List the root messages of a channel, newest first."""
    await identify(questions, options)
    channel = await questions.channel(options.channel)
    found = await questions.newest(channel.channel_id, options.limit, before_id=options.message_id)
    for entry in found:
        output.thread(entry)


async def read(questions: Questions, options: Options, output: Output) -> None:
    """Print a thread."""
    assert options.message_id is not None
    await identify(questions, options)
    root, replies = await questions.thread(options.message_id, options.limit)
    if root is not None:
        output.message(root)
    for entry, depth in indented(options.message_id, replies):
        output.message(entry, Shown(depth=depth))


async def channels(questions: Questions, options: Options, output: Output) -> None:
    """List the channels."""
    await identify(questions, options)
    output.channels(await questions.channels())


async def users(questions: Questions, options: Options, output: Output) -> None:
    """List who is online, or in a channel."""
    await identify(questions, options)
    if options.channels:
        channel = await questions.channel(options.channel)
        roster: wire.ChannelUserList = await questions.ask(
            wire.ListChannelUsers(channel_id=channel.channel_id)
        )
        output.users(roster.users)
    else:
        online: wire.UserList = await questions.ask(wire.ListUsers(limit=USERS_LIMIT))
        output.users(online.users)


COMMANDS: dict[str, Command] = {
    "post": post,
    "threads": threads,
    "read": read,
    "channels": channels,
    "users": users,
}
