"""Fits acts and bans into what can be stored, the same for every engine."""

from __future__ import annotations

import attrs

from superchat.model import NewAct, NewBan
from superchat.storage.integers import key, nearest


def storable_act(act: NewAct) -> NewAct:
    """*act* with ids that a row can have, and a time within 63 bits."""
    return attrs.evolve(
        act,
        actor_id=key(act.actor_id),
        target_id=key(act.target_id),
        performed_at=nearest(act.performed_at),
    )


def storable_ban(new: NewBan, account_id: int | None) -> NewBan:
    """*new* as a ban of *account_id*, with times within 63 bits."""
    until = new.banned_until
    return attrs.evolve(
        new,
        account_id=account_id,
        banned_at=nearest(new.banned_at),
        banned_until=None if until is None else nearest(until),
    )
