"""What may happen next in a world; who does what is chosen by a machine or by a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from tests.model.world import ADMIN, NAMES, World

T = TypeVar("T")

MOST_VISITORS: Final = 9
CHANNELS: Final = ("plans", "jokes")


class Chooser(Protocol):
    """Makes the choices."""

    def one_of(self, options: Sequence[T]) -> T:
        """One of several."""


Act = Callable[[World, Chooser], None]


def act(world: World, choose: Chooser) -> str:
    """Do one thing; returns what it was."""
    possible = [each for each, applies in ACTS if applies(world)]
    chosen = choose.one_of(possible)
    chosen(world, choose)
    return chosen.__name__


def _someone(world: World, choose: Chooser) -> Any:
    return choose.one_of(world.model.visitors)


def _somewhere(world: World, choose: Chooser) -> Any:
    return choose.one_of([place for _, place in sorted(world.model.places.items())])


def _something(world: World, choose: Chooser) -> Any:
    return choose.one_of([note for _, note in sorted(world.model.notes.items())])


def enter(world: World, choose: Chooser) -> None:
    """Somebody connects, unless there are enough."""
    if len(world.model.visitors) < MOST_VISITORS:
        world.enter()


def go(world: World, choose: Chooser) -> None:
    """Somebody leaves."""
    world.go(_someone(world, choose))


def name(world: World, choose: Chooser) -> None:
    """Somebody takes a nickname, perhaps a reserved one."""
    world.name(_someone(world, choose), choose.one_of((*NAMES, ADMIN)))


def register(world: World, choose: Chooser) -> None:
    """Somebody registers."""
    world.register(_someone(world, choose))


def log_in(world: World, choose: Chooser) -> None:
    """Somebody logs in, perhaps to no account."""
    world.log_in(_someone(world, choose), choose.one_of((*NAMES, "mod", ADMIN)))


def log_out(world: World, choose: Chooser) -> None:
    """Somebody logs out."""
    world.log_out(_someone(world, choose))


def join(world: World, choose: Chooser) -> None:
    """Somebody joins."""
    world.join(_someone(world, choose), _somewhere(world, choose))


def subscribe(world: World, choose: Chooser) -> None:
    """Somebody subscribes."""
    world.subscribe(_someone(world, choose), _somewhere(world, choose))


def follow(world: World, choose: Chooser) -> None:
    """Somebody follows a thread."""
    world.follow(_someone(world, choose), _something(world, choose))


def create(world: World, choose: Chooser) -> None:
    """Somebody creates a channel."""
    world.create(_someone(world, choose), choose.one_of(CHANNELS))


def demolish(world: World, choose: Chooser) -> None:
    """Somebody tries to delete a channel."""
    world.demolish(_someone(world, choose), _somewhere(world, choose))


def post(world: World, choose: Chooser) -> None:
    """Somebody posts."""
    world.say_in(_someone(world, choose), _somewhere(world, choose), None, b"words")


def reply(world: World, choose: Chooser) -> None:
    """Somebody replies, now and then in the wrong place."""
    note = _something(world, choose)
    place = choose.one_of((note.place, note.place, note.place, _somewhere(world, choose)))
    world.say_in(_someone(world, choose), place, note, b"an answer")


def edit(world: World, choose: Chooser) -> None:
    """Somebody edits something, perhaps of others."""
    world.edit(_someone(world, choose), _something(world, choose), b"other words")


def delete(world: World, choose: Chooser) -> None:
    """Somebody deletes something, perhaps of others."""
    world.delete(_someone(world, choose), _something(world, choose))


def read(world: World, choose: Chooser) -> None:
    """Somebody reads a place."""
    world.read(_someone(world, choose), _somewhere(world, choose))


def read_thread(world: World, choose: Chooser) -> None:
    """Somebody reads below a message."""
    world.read_thread(_someone(world, choose), _something(world, choose))


def count(world: World, choose: Chooser) -> None:
    """Somebody asks what is unread."""
    world.count(_someone(world, choose), _somewhere(world, choose))


def ban(world: World, choose: Chooser) -> None:
    """Somebody tries to ban somebody."""
    whom = choose.one_of((*NAMES, "mod", ADMIN))
    world.ban(_someone(world, choose), whom, shadow=choose.one_of((True, True, False)))


def unban(world: World, choose: Chooser) -> None:
    """Somebody tries to lift bans."""
    world.unban(_someone(world, choose), choose.one_of(NAMES))


def erase(world: World, choose: Chooser) -> None:
    """Somebody tries to delete an account."""
    world.erase(_someone(world, choose), choose.one_of(NAMES))


def part(world: World, choose: Chooser) -> None:
    """Somebody leaves a conversation for good."""
    world.part(_someone(world, choose), _somewhere(world, choose))


def converse(world: World, choose: Chooser) -> None:
    """Two begin a conversation."""
    known = [visitor for visitor in world.model.visitors if visitor.person is not None]
    world.converse(choose.one_of(known or world.model.visitors), choose.one_of(known or world.model.visitors))


def restart(world: World, choose: Chooser) -> None:
    """The server restarts."""
    world.restart()


def check(world: World, choose: Chooser) -> None:
    """Everybody reads everything."""
    world.check()


def _always(world: World) -> bool:
    return True


def _with_visitors(world: World) -> bool:
    return bool(world.model.visitors)


def _with_notes(world: World) -> bool:
    return bool(world.model.visitors and world.model.notes)


_OF_VISITORS: Final[Sequence[tuple[Act, int]]] = (
    (name, 2), (register, 2), (log_in, 3), (log_out, 1), (go, 2), (join, 3), (subscribe, 4), (create, 2), (post, 9),
    (read, 3), (count, 3), (converse, 4), (part, 1), (ban, 3), (unban, 3), (erase, 1), (demolish, 1), (check, 3),
)  # fmt: skip
_OF_NOTES: Final[Sequence[tuple[Act, int]]] = (
    (reply, 9), (follow, 4), (edit, 4), (delete, 3), (read_thread, 4), (restart, 1),
)  # fmt: skip
ACTS: Final[Sequence[tuple[Act, Callable[[World], bool]]]] = (
    *[(enter, _always)] * 3,
    *[(each, _with_visitors) for each, times in _OF_VISITORS for _ in range(times)],
    *[(each, _with_notes) for each, times in _OF_NOTES for _ in range(times)],
)
"""What may happen, and when; what is there twice happens twice as often."""
