"""The order in which a page of a thread is shown; all engines share it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from superchat.model import Message


def depth_first(top_id: int, page: Iterable[Message], absent: Mapping[int, int]) -> list[Message]:
    """Arrange ``page``, descendants of ``top_id``, depth first with siblings by id (decisions 4.3).

    ``absent`` gives the parents of those ancestors below ``top_id`` that are not on the page themselves: a
    reply whose parent is absent stands where its parent's subtree would.
    """
    present = {message.id: message for message in page}
    replies = [(message.id, message.parent_id) for message in present.values()]
    parents = {**absent, **{reply: parent for reply, parent in replies if parent is not None}}
    return [present[node] for node in _preorder(top_id, parents) if node in present]


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
