"""The order of a page of a thread."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.model import Message
from superchat.storage.threads import depth_first

TOP = 100


def reply(message_id: int, parent_id: int) -> Message:
    return Message(message_id, 1, parent_id, TOP, None, "anna", 0, 1, b"", 0)


@st.composite
def trees(draw: st.DrawFn) -> dict[int, int]:
    """Parents by id: every message answers the top or an older message."""
    count = draw(st.integers(0, 25))
    ids = range(TOP + 1, TOP + 1 + count)
    return {message_id: draw(st.integers(TOP, message_id - 1)) for message_id in ids}


def walk(tree: dict[int, int], node: int) -> list[int]:
    """The whole tree below ``node``, depth first, as plainly as it can be said."""
    below = []
    for child in sorted(child for child, parent in tree.items() if parent == node):
        below += [child, *walk(tree, child)]
    return below


class DepthFirstTests(SynchronousTestCase):
    """``depth_first``."""

    @settings(max_examples=60, derandomize=True, database=None, deadline=None)
    @given(trees(), st.data())
    def test_like_the_whole_tree_less_what_is_absent(self, tree: dict[int, int], data: st.DataObject) -> None:
        """A page is ordered as the whole thread would be, absent messages left out (decisions 4.3)."""
        chosen = data.draw(st.sets(st.sampled_from([*tree]))) if tree else set()
        page = [reply(message_id, tree[message_id]) for message_id in data.draw(st.permutations([*chosen]))]
        absent = {message_id: parent for message_id, parent in tree.items() if message_id not in chosen}
        ordered = [message.id for message in depth_first(TOP, page, absent)]
        self.assertEqual(ordered, [message_id for message_id in walk(tree, TOP) if message_id in chosen])

    def test_deeper_than_recursion(self) -> None:
        """A chain of any depth can be ordered."""
        chain = [reply(TOP + 1 + n, TOP + n) for n in range(20_000)]
        self.assertEqual(depth_first(TOP, reversed(chain), {}), chain)
