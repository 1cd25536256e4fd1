"""The commands that ask once and end: post, threads, read, channels, users."""

from __future__ import annotations

from superchat.tools.cli_ask import USERS_LIMIT, Questions, indented
from superchat.tools.cli_identity import identify, introduce
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Output, Shown
from superchat.tools.cli_standard_input import text_of
from superchat.wire import messages as wire


async def post(questions: Questions, options: Options, output: Output) -> None:
    """Post a message; print its id."""
    content = text_of(options)
    await introduce(questions, options)
    channel = await questions.channel(options.channel)
    request = wire.PostMessage(channel_id=channel.channel_id, parent_id=options.message_id, content=content)
    reply: wire.MessagePosted = await questions.granted(request)
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

