"""The commands that change something in channels and end: edit, delete, create."""

from __future__ import annotations

from superchat.tools.cli_ask import FORUM, Questions
from superchat.tools.cli_identity import introduce
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Output
from superchat.tools.cli_standard_input import text_of
from superchat.wire import messages as wire

CHAT = 0


async def edit(questions: Questions, options: Options, output: Output) -> None:
    """Give a message another text."""
    content = text_of(options)
    await introduce(questions, options)
    assert options.message_id is not None
    output.edited(await change(questions, options.message_id, content))


async def change(questions: Questions, message_id: int, content: bytes) -> wire.MessageEdited:
    """Edit a message. Raises Declined."""
    reply: wire.MessageEdited = await questions.granted(wire.EditMessage(message_id=message_id, new_content=content))
    return reply


async def delete(questions: Questions, options: Options, output: Output) -> None:
    """Delete a message."""
    await introduce(questions, options)
    assert options.message_id is not None
    output.deleted(await remove(questions, options.message_id))


async def remove(questions: Questions, message_id: int) -> wire.MessageDeleted:
    """Delete a message. Raises Declined."""
    reply: wire.MessageDeleted = await questions.granted(wire.DeleteMessage(message_id=message_id))
    return reply


async def create(questions: Questions, options: Options, output: Output) -> None:
    """Create a channel or subchannel; print its id."""
    await introduce(questions, options)
    if options.parent:
        parent = await questions.channel(options.parent)
        await _create_below(questions, parent, options, output)
    else:
        await _create(questions, options, output)


async def _create(questions: Questions, options: Options, output: Output) -> None:
    request = wire.CreateChannel(
        name=options.text,
        display_name=options.display_name or options.text,
        description=options.description or None,
        channel_type=FORUM if options.is_forum else CHAT,
        retention_hours=options.retention_hours,
    )
    reply: wire.ChannelCreated = await questions.granted(request)
    assert reply.channel_id is not None
    output.created(_created(reply, reply.channel_id, reply.name or options.text), reply.message)


async def _create_below(questions: Questions, parent: Channel, options: Options, output: Output) -> None:
    request = wire.CreateSubchannel(
        channel_id=parent.channel_id,
        name=options.text,
        description=options.description,
        type=FORUM if options.is_forum else CHAT,
        retention_hours=options.retention_hours,
    )
    reply: wire.SubchannelCreated = await questions.granted(request)
    assert reply.subchannel_id is not None
    name = f"{parent.label}/{reply.name or options.text}"
    output.created(_created(reply, reply.subchannel_id, name), reply.message)


def _created(reply: wire.ChannelCreated | wire.SubchannelCreated, channel_id: int, label: str) -> Channel:
    return Channel(
        channel_id,
        label,
        is_forum=reply.type == FORUM,
        description=reply.description or "",
        retention_hours=reply.retention_hours or 0,
    )
