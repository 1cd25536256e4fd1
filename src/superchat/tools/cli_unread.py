"""Counts what one has not read, and says what one has."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from superchat.tools.cli_ask import Questions
from superchat.tools.cli_identity import identify
from superchat.tools.cli_options import Options
from superchat.tools.cli_output import Channel, Output
from superchat.wire import messages as wire
from superchat.wire.messages import UnreadTarget

TARGETS_PER_REQUEST: Final = 500  # decisions 4.12


async def unread(questions: Questions, options: Options, output: Output) -> None:
    """Count the unread messages of some channels, or of all."""
    await identify(questions, options)
    if options.channels:
        channels = [await questions.channel(name) for name in options.channels]
    else:
        channels = await questions.channels()
    output.unread(await counts(questions, channels, options.since_ms))
    if options.mark_read:
        now_ms = int(time.time() * 1000)
        for channel in channels:
            await questions.tell(wire.UpdateReadState(channel_id=channel.channel_id, timestamp=now_ms))


async def counts(
    questions: Questions, channels: Sequence[Channel], since_ms: int | None = None
) -> list[tuple[Channel, int]]:
    """Return how many messages of each channel are unread, or newer than a time."""
    found: list[tuple[Channel, int]] = []
    for start in range(0, len(channels), TARGETS_PER_REQUEST):
        batch = channels[start : start + TARGETS_PER_REQUEST]
        targets = tuple(UnreadTarget(channel_id=each.channel_id) for each in batch)
        request = wire.GetUnreadCounts(since_timestamp=since_ms, targets=targets)
        reply: wire.UnreadCounts = await questions.ask(request)
        numbers = {each.channel_id: each.unread_count for each in reply.counts}
        found += [(each, numbers.get(each.channel_id, 0)) for each in batch]
    return found
