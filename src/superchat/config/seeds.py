"""The channels a new database starts with (decisions 4.13)."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from superchat.config.document import Document
from superchat.config.keys import Key, Wrong, choice, declared, integer, text
from superchat.config.mistakes import Mistake, did_you_mean


@attrs.frozen
class SeedChannel:
    """[[channels]]: a channel made when the database is new (decisions 4.13)."""

    name: str = text("", 3, 50, "Name that clients show; unique ignoring case within its parent. Required.")
    display_name: str = text("", 0, 100, 'Longer name, kept for later use. "" = the name.')
    description: str = text("", 0, 500, "One sentence about the channel.")
    type: str = choice("forum", ("chat", "forum"), "chat = linear conversation, forum = threads.")
    retention_hours: int = integer(
        168, 0, 8760, "Hours a message lives. 0 = for ever. Default: default_retention_hours."
    )
    parent: str = text("", 0, 50, 'Name of an entry above whose subchannel this is. "" = top level.')

    @property
    def channel_type(self) -> int:
        """The type as the protocol numbers it: 0 chat, 1 forum."""
        return ("chat", "forum").index(self.type)


_CHAT = SeedChannel("chat", "chat", "General chat (linear conversation)", "chat", 24)
_FORUMS = (
    ("general", "General discussion"),
    ("tech", "Technical topics and programming"),
    ("random", "Off-topic chat"),
    ("feedback", "Bug reports and feature requests"),
)


def default_channels(retention_hours: int = 168) -> tuple[SeedChannel, ...]:
    """The channels of a server whose configuration names none; in this order their ids are 1 to 5."""
    forums = (SeedChannel(name, name, about, "forum", retention_hours) for name, about in _FORUMS)
    return (_CHAT, *forums)


CHANNEL_KEYS: Mapping[str, Key] = declared(SeedChannel)


def read_channels(document: Document, hours: int, mistakes: list[Mistake]) -> tuple[SeedChannel, ...]:
    """The [[channels]] of a file, the default ones if it has none; `hours` is the default retention."""
    entries = document.content.get("channels")
    if entries is None:
        return default_channels(hours)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        allowed = "allowed is one [[channels]] section for each channel"
        mistakes.append(Mistake(document.where("channels"), "channels", allowed))
        return ()
    seeds: list[SeedChannel] = []
    for position, entry in enumerate(entries):
        seed = _seed(document, position, entry, hours, mistakes)
        if problem := _conflict(seed, seeds):
            mistakes.append(Mistake(document.where("channels", position), f"channels[{seed.name}]", problem))
        seeds.append(seed)
    return tuple(seeds)


def _seed(
    document: Document, position: int, entry: Mapping[str, object], hours: int, mistakes: list[Mistake]
) -> SeedChannel:
    """One [[channels]] entry with its defaults filled in; what is wrong in it goes to `mistakes`."""
    values: dict[str, Any] = {"retention_hours": hours}
    for name, value in entry.items():
        where = document.where("channels", position, name)
        key = CHANNEL_KEYS.get(name)
        if key is None:
            hint = did_you_mean(name, CHANNEL_KEYS)
            mistakes.append(Mistake(where, f"channels.{name}", f"unknown key{hint}"))
            continue
        try:
            values[name] = key.read(value)
        except Wrong as wrong:
            mistakes.append(Mistake(where, f"channels.{name}", str(wrong)))
    if "name" not in entry:
        where = document.where("channels", position)
        mistakes.append(Mistake(where, "channels.name", "missing, every channel has a name"))
    seed = SeedChannel(**values)
    return attrs.evolve(seed, display_name=seed.display_name or seed.name)


def _conflict(seed: SeedChannel, above: Iterable[SeedChannel]) -> str | None:
    """Why a channel cannot stand below the ones above it (decisions 4.1, 4.2), None if it can."""
    taken = {(one.parent.lower(), one.name.lower()) for one in above}
    if seed.parent and ("", seed.parent.lower()) not in taken:
        return f"no top-level channel {seed.parent!r} stands above it; a parent comes first"
    if seed.name and (seed.parent.lower(), seed.name.lower()) in taken:
        return "is there already; names are unique ignoring case"
    return None
