"""edit, delete, create."""

from __future__ import annotations

from superchat.client import ServerRefused
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.once import CommandTestCase, account_options


class ChangesTests(CommandTestCase):
    """What an account does to messages and channels."""

    def replies(self, kind: type[Message], reply: Message) -> None:
        """Let the server answer messages of one type with this."""
        self.server.endpoint.answer = lambda message: (
            [reply] if isinstance(message, kind) else self.server.answer(message)
        )

    def test_edit(self) -> None:
        """The new text is sent after the login, byte for byte, and printed as the server has it."""
        printed = self.do(account_options("edit", message_id=12, text="caf\udce9"))
        self.assertEqual(self.server.heard(wire.EditMessage), [wire.EditMessage(message_id=12, new_content=b"caf\xe9")])
        self.assertEqual(printed, ["* message 12 now reads caf\\xe9"])
        self.assertIsInstance(self.server.endpoint.server.heard[0], wire.AuthRequest)

    def test_delete(self) -> None:
        """What stands in the message's place is printed."""
        printed = self.do(account_options("delete", message_id=12))
        self.assertEqual(printed, ["* message 12 is gone: [deleted by alice]"])

    def test_refusals(self) -> None:
        """Errors and typed refusals both come out in the server's words."""
        self.server.refusals = {wire.EditMessage: wire.Error(error_code=3000, message="You can only edit your own")}
        failed = self.failureResultOf(self.begin(account_options("edit", message_id=12, text="x")), ServerRefused)
        self.assertEqual((failed.value.code, failed.value.text), (3000, "You can only edit your own"))
        self.replies(wire.DeleteMessage, wire.MessageDeleted(success=False, message_id=12, message=b"No \xff"))
        self.assertEqual(self.declined(account_options("delete", message_id=12)), "No \udcff")

    def test_create(self) -> None:
        """A channel is asked for as described, and its id printed."""
        reply = wire.ChannelCreated(
            success=True,
            channel_id=31,
            name="cooking",
            description="Dinner",
            type=0,
            retention_hours=24,
            message="Channel 'Cooking' created successfully",
        )
        self.replies(wire.CreateChannel, reply)
        given = account_options(
            "create",
            text="cooking",
            display_name="Cooking",
            description="Dinner",
            is_forum=False,
            retention_hours=24,
        )
        self.assertEqual(self.do(given), ["31"])
        expected = wire.CreateChannel(
            name="cooking", display_name="Cooking", description="Dinner", channel_type=0, retention_hours=24
        )
        self.assertEqual(self.server.heard(wire.CreateChannel), [expected])

    def test_create_plainly(self) -> None:
        """Without more to say the name is its full name too, and there is no description."""
        self.replies(wire.CreateChannel, wire.ChannelCreated(success=False, message="Channel name already exists"))
        given = account_options("create", text="cooking", retention_hours=168)
        self.assertEqual(self.declined(given), "Channel name already exists")
        expected = wire.CreateChannel(
            name="cooking", display_name="cooking", description=None, channel_type=1, retention_hours=168
        )
        self.assertEqual(self.server.heard(wire.CreateChannel), [expected])

    def test_create_subchannel(self) -> None:
        """With a parent it is a subchannel of it."""
        reply = wire.SubchannelCreated(
            success=True,
            channel_id=1,
            subchannel_id=32,
            name="bread",
            description="",
            type=1,
            retention_hours=168,
            message="",
        )
        self.replies(wire.CreateSubchannel, reply)
        given = account_options("create", text="bread", parent="general", retention_hours=168)
        self.assertEqual(self.do(given), ["32"])
        expected = wire.CreateSubchannel(channel_id=1, name="bread", description="", type=1, retention_hours=168)
        self.assertEqual(self.server.heard(wire.CreateSubchannel), [expected])

    def test_unknown_parent(self) -> None:
        """A parent that does not exist is no reason to create a channel elsewhere."""
        self.assertIn("no channel nowhere", self.declined(account_options("create", text="bread", parent="nowhere")))
