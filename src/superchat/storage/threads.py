"""The shape of threads: the order in which a page of one is shown, and what is below what; all engines share it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

import attrs

from superchat.model import Message


def depth_first(
    top_id: int, page: Iterable[Message], absent: Mapping[int, int], withheld: Collection[int] = ()
) -> list[Message]:
    """Arrange ``page``, descendants of ``top_id``, depth first with siblings by id (decisions 4.3).

    ``absent`` gives the parents of those ancestors below ``top_id`` that are not on the page themselves: a
    reply whose parent is absent stands where its parent's subtree would. Those of them that are ``withheld`` are
    passed over: their replies become those of the nearest above that is not.
    """
    above = _nearest_shown(absent, withheld)
    shown = [_adopted(message, above) if message.parent_id in withheld else message for message in page]
    present = {message.id: message for message in shown}
    replies = [(message.id, message.parent_id) for message in shown]
    parents = {**above, **{reply: parent for reply, parent in replies if parent is not None}}
    return [present[node] for node in _preorder(top_id, parents) if node in present]


def number_below(family: Iterable[tuple[int, int | None, int]]) -> dict[int, int]:
    """How many that count are below each message.

    ``family`` has (id, parent's id, 1 if it counts else 0), youngest first, and with a message all above it.
    """
    below: defaultdict[int, int] = defaultdict(int)
    for message_id, parent_id, counts in family:
        if parent_id is not None:
            below[parent_id] += below[message_id] + counts
    return below


def _nearest_shown(absent: Mapping[int, int], withheld: Collection[int]) -> Mapping[int, int]:
    """``absent`` with parents that are not withheld. Parents are older than replies, so each is found at once."""
    if not withheld:
        return absent
    nearest: dict[int, int] = {}
    for node in sorted(absent):
        parent = absent[node]
        nearest[node] = nearest[parent] if parent in withheld else parent
    return nearest


def _adopted(message: Message, above: Mapping[int, int]) -> Message:
    assert message.parent_id is not None
    return attrs.evolve(message, parent_id=above[message.parent_id])


def _preorder(top_id: int, parents: Mapping[int, int]) -> Iterator[int]:
    """Walk the tree of ``parents`` from below ``top_id``; it may be deeper than recursion can go."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for node in sorted(parents, reverse=True):
        children[parents[node]].append(node)
    waiting = children.pop(top_id, [])
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(children.pop(node, ()))
