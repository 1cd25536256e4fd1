"""What the services may ask of a storage engine about direct conversations."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface

from superchat.model import Channel, Invite, NewInvite, Participant
from superchat.storage.direct.values import MOST_INVITES


class IDirect(Interface):
    """Direct conversations, which are channels with participants; and invites to them. Times are Unix milliseconds.

    A participant is known by its account, or by its session's key without one; its nickname tells nothing. What
    names an account that does not exist, or does not any more, fails with ``UnknownAccount``.
    """

    def open_direct(
        participants: Sequence[Participant], created_at: int, invite_id: int | None = None
    ) -> Deferred[Channel]:
        """Begin a direct conversation; all invites of its participants to each other are gone with it.

        Fails with ``UnknownInvite`` when ``invite_id`` is gone already: it was accepted or declined meanwhile.
        """

    def participants() -> Deferred[list[tuple[int, Participant]]]:
        """Everybody who takes part in a direct conversation, by channel id."""

    def leave_direct(channel_id: int, participant: Participant, left_at: int) -> Deferred[bool]:
        """Take a participant out; whether anybody is left. Without anybody the channel is deleted.

        To those who are left the server notes it, as a message without an author (reference 6.5).
        """

    def create_invite(new: NewInvite, most: int = MOST_INVITES) -> Deferred[Invite]:
        """Keep an invite. Fails with ``InvitePending`` when the same initiator waits for the same target already.

        Fails with ``TooManyInvites`` when ``most`` invites by the initiator, or to the target, are pending.
        """

    def insist(invite_id: int, encrypted: bool) -> Deferred[Invite]:
        """Say anew whether the initiator of an invite insists on encryption. Fails with ``UnknownInvite``."""

    def invite(invite_id: int) -> Deferred[Invite | None]:
        """One invite."""

    def invites(participant: Participant) -> Deferred[list[Invite]]:
        """All invites that this account or session is the target or the initiator of, oldest first."""

    def invite_between(initiator: Participant, target: Participant) -> Deferred[Invite | None]:
        """The pending invite of this initiator to this target."""

    def remove_invite(invite_id: int) -> Deferred[Invite]:
        """Forget an invite, and return it. Fails with ``UnknownInvite``."""

    def remove_invites(participant: Participant) -> Deferred[list[Invite]]:
        """Forget all invites that this account or session is the target or the initiator of, and return them."""

    def expire_invites(before_ms: int) -> Deferred[list[Invite]]:
        """Forget all invites made before a time (decisions 6.1), and return them."""

    def forget_sessions(left_at: int) -> Deferred[None]:
        """Let all participants without an account leave, and forget their invites: a restart ended their sessions."""
