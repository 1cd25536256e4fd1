"""What a reader may see of messages, by the terms of a `View`; where the engines can, they share it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from superchat.model import Message, View, name_key


def hides(view: View) -> bool:
    """Whether anything at all may be withheld from the reader."""
    return bool(view.accounts or view.names)


def own(message: Message, view: View) -> bool:
    """Whether the reader wrote ``message``, which has its author as it was posted."""
    if view.session_key is not None and message.author_session == view.session_key:
        return True
    return message.author_id is not None and message.author_id == view.account_id


def withheld(message: Message, view: View) -> bool:
    """Whether ``message``, which has its author as it was posted, does not exist for the reader (decisions 7.2)."""
    if message.author_id is not None:
        hidden = message.author_id in view.accounts
    else:
        hidden = name_key(message.author_nickname) in view.names
    return hidden and not own(message, view)


def as_seen(message: Message, withheld_below: Mapping[int, int]) -> Message:
    """``message`` without the replies of which the reader must not know, given their number by message id."""
    number = withheld_below.get(message.id, 0)
    return attrs.evolve(message, reply_count=message.reply_count - number) if number else message


def visible(message: Message) -> bool:
    """Whether a message is on pages: living, or the tombstone of one with living replies (decisions 4.7)."""
    return message.deleted_at is None or message.reply_count > 0
