"""dm with a text, dms, accept, decline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from superchat.client import ConnectionClosed, ServerRefused
from superchat.client.encryption import KeyPair, fingerprint
from superchat.client.key_file import KeyFileError, load_or_create
from superchat.tools.cli_options import Options
from superchat.tools.cli_private import GRACE_SECONDS
from superchat.wire import messages as wire
from superchat.wire.records import Message
from tests.tools.once import CommandTestCase, account_options
from tests.tools.people_in_memory import CONVERSATION, INVITE, pending, request

LOW_ORDER = bytes(32)


class PrivateTestCase(CommandTestCase):
    """The command line is alice's."""

    def setUp(self) -> None:
        super().setUp()
        self.key_file = Path(self.mktemp()) / "dm.key"

    def given(self, command: str, **more: Any) -> Options:
        return account_options(command, key_file=self.key_file, user="bob", timeout_seconds=5.0, **more)


class DMTests(PrivateTestCase):
    """Saying something to somebody alone."""

    def posted(self) -> list[bytes]:
        posts = self.server.heard(wire.PostMessage)
        self.assertEqual({each.channel_id for each in posts} - {CONVERSATION}, set())
        return [each.content for each in posts]

    def test_encrypted(self) -> None:
        """The text goes out encrypted for the two keys and the channel, and the message's id is printed."""
        self.server.on_dm = [self.server.ready()]
        self.assertEqual(self.do(self.given("dm", text="Grüße")), ["101"])
        [content] = self.posted()
        self.assertNotIn("Grüße".encode(), content)
        self.assertEqual(self.server.cipher().decrypt(content), "Grüße".encode())
        self.assertIn(f"encrypted; the other's key is {fingerprint(self.server.bob.public)}", self.err[0])

    def test_own_key(self) -> None:
        """The server is told the key of the key file first: it might have another one, of another client."""
        self.server.on_dm = [self.server.ready()]
        self.do(self.given("dm", text="hi"))
        [provided] = self.server.heard(wire.ProvidePublicKey)
        self.assertEqual((provided.key_type, provided.public_key), (1, load_or_create(self.key_file).public))
        [started] = self.server.heard(wire.StartDM)
        self.assertEqual(started, wire.StartDM(target_type=1, target_nickname="bob", allow_unencrypted=False))
        heard = self.server.endpoint.server.heard
        self.assertLess(heard.index(provided), heard.index(started))

    def test_anonymous_key(self) -> None:
        """Without account the key is ephemeral, and no file is made (wire 0x1A)."""
        self.server.on_dm = [self.server.ready()]
        self.do(self.given("dm", text="hi", credentials=None))
        self.assertEqual(self.server.heard(wire.ProvidePublicKey)[0].key_type, 2)
        self.assertFalse(self.key_file.exists())
        self.assertEqual(self.server.cipher().decrypt(self.posted()[0]), b"hi")

    def test_refused_key(self) -> None:
        """A key that the server refuses is an error, although it has no reply, and nothing is said."""
        self.server.on_key = [wire.Error(error_code=3000, message="Anonymous users can only use ephemeral keys")]
        failed = self.failureResultOf(self.begin(self.given("dm", text="hi")), ServerRefused)
        self.assertEqual(failed.value.code, 3000)
        self.assertEqual(self.server.heard(wire.StartDM), [])

    def test_unknown_user(self) -> None:
        """So is a name that nobody has."""
        self.server.on_dm = [wire.Error(error_code=4000, message="User not found")]
        failed = self.failureResultOf(self.begin(self.given("dm", text="hi")), ServerRefused)
        self.assertEqual(failed.value.text, "User not found")

    def test_not_encrypted(self) -> None:
        """A conversation without encryption is refused, unless it was allowed: nothing is downgraded unasked."""
        self.server.on_dm = [self.server.ready(encrypted=False)]
        self.assertIn("is not encrypted", self.declined(self.given("dm", text="secret")))
        self.assertEqual(self.posted(), [])
        self.do(self.given("dm", text="no secret", unencrypted=True))
        self.assertEqual(self.posted(), [b"no secret"])
        self.assertTrue(self.server.heard(wire.StartDM)[-1].allow_unencrypted)
        self.assertIn("NOT encrypted", self.err[-1])

    def test_key_of_low_order(self) -> None:
        """A key with which everybody could listen is refused (wire 9)."""
        self.server.on_dm = [
            wire.DMReady(channel_id=9, other_nickname="bob", is_encrypted=True, other_public_key=LOW_ORDER)
        ]
        self.assertIn("no secret", self.declined(self.given("dm", text="hi")))
        self.assertEqual(self.posted(), [])

    def test_key_required(self) -> None:
        """A server that wants a key all the same says so (wire 0xA1)."""
        self.server.on_dm = [wire.KeyRequired(reason="You need to set up an encryption key")]
        self.assertEqual(self.declined(self.given("dm", text="hi")), "You need to set up an encryption key")

    def test_accepted_later(self) -> None:
        """If the other has to accept, the command says so, waits, and then delivers."""
        self.server.on_dm = [pending()]
        running = self.begin(self.given("dm", text="hi"))
        self.assertEqual(self.err, ["* Waiting for bob to accept"])
        self.server.say(self.server.ready(name="carol", channel_id=9))
        self.assertNoResult(running)
        self.server.say(self.server.ready())
        self.successResultOf(running)
        self.assertEqual(self.server.cipher().decrypt(self.posted()[0]), b"hi")

    def test_declined(self) -> None:
        """If the other declines, that is the end; if they decline somebody else's, it is not."""
        self.server.on_dm = [pending()]
        running = self.begin(self.given("dm", text="hi"))
        self.server.say(wire.DMDeclined(dm_channel_id=INVITE + 1, nickname="bob"))
        self.assertNoResult(running)
        self.server.say(wire.DMDeclined(dm_channel_id=INVITE, nickname="bob"))
        self.assertEqual(str(self.failureResultOf(running).value), "bob declined")

    def test_patience(self) -> None:
        """One can wait for a limited time."""
        self.server.on_dm = [pending()]
        running = self.begin(self.given("dm", text="hi", wait_seconds=60.0))
        self.clock.advance(59)
        self.assertNoResult(running)
        self.clock.advance(1)
        self.assertEqual(str(self.failureResultOf(running).value), "bob has not accepted yet")

    def test_lost_while_waiting(self) -> None:
        """A connection that is lost ends the waiting."""
        self.server.on_dm = [pending()]
        running = self.begin(self.given("dm", text="hi"))
        self.server.endpoint.server.drop()
        self.failureResultOf(running, ConnectionClosed)

    def test_longest(self) -> None:
        """A text may be 28 bytes shorter than the server's limit, as encryption takes them (wire 9)."""
        self.server.on_dm = [self.server.ready()]
        self.do(self.given("dm", text="x" * 4068))
        self.assertEqual(len(self.posted()[0]), 4096)
        self.assertIn("at most 4068 bytes", self.declined(self.given("dm", text="x" * 4069)))

    def test_key_file_of_others(self) -> None:
        """A key file that cannot be trusted ends it before anything is said."""
        load_or_create(self.key_file)
        self.key_file.chmod(0o644)
        self.failureResultOf(self.begin(self.given("dm", text="hi")), KeyFileError)
        self.assertEqual(self.server.heard(wire.StartDM), [])


class RequestTests(PrivateTestCase):
    """Requests of others."""

    def test_list(self) -> None:
        """The requests that follow the login are listed (decisions 6.1)."""
        self.server.at_login = [request(1), request(0, name="carol\x1b", invite_id=6)]
        printed = self.do(self.given("dms"))
        self.assertEqual(printed, ["5  bob  encryption required", "6  carol\\x1b  encryption impossible"])

    def test_late(self) -> None:
        """Those that the server had to look up first are listed too."""
        running = self.begin(self.given("dms"))
        self.assertNoResult(running)
        self.server.say(request())
        self.successResultOf(running)
        self.assertEqual(len(self.out), 1)

    def test_none(self) -> None:
        """If there are none the command ends after a moment."""
        running = self.begin(self.given("dms"))
        self.clock.advance(GRACE_SECONDS)
        self.successResultOf(running)
        self.assertEqual(self.out, [])

    def test_accept(self) -> None:
        """A request is accepted by telling one's key."""
        self.server.at_login = [request(1)]
        self.server.on_key = [self.server.ready()]
        self.do(self.given("accept"))
        self.assertEqual(self.server.heard(wire.ProvidePublicKey)[0].key_type, 1)
        self.assertIn("private conversation 77 with bob, encrypted", self.err[0])

    def test_accept_from_somebody_without_key(self) -> None:
        """Without the other's key there is no encryption, and nothing is accepted unasked."""
        self.server.at_login = [request(0)]
        self.assertIn("bob has no key", self.declined(self.given("accept")))
        self.assertEqual(self.server.heard(wire.ProvidePublicKey), [])

    def test_accept_in_the_clear(self) -> None:
        """It can be allowed without, once or for ever."""
        self.server.at_login = [request(0)]
        self.server.endpoint.answer = lambda message: (
            [self.server.ready(encrypted=False)]
            if isinstance(message, wire.AllowUnencrypted)
            else self.server.answer(message)
        )
        self.do(self.given("accept", unencrypted=True, permanent=True))
        allowed = wire.AllowUnencrypted(dm_channel_id=INVITE, permanent=True)
        self.assertEqual(self.server.heard(wire.AllowUnencrypted), [allowed])
        self.assertIn("NOT encrypted", self.err[0])

    def test_somebody_else_at_the_same_moment(self) -> None:
        """Another conversation that begins meanwhile is not taken for the one accepted."""
        self.server.at_login = [request(0)]
        both: list[Message] = [self.server.ready(encrypted=False, name="carol"), self.server.ready(encrypted=False)]
        self.server.endpoint.answer = lambda message: (
            both if isinstance(message, wire.AllowUnencrypted) else self.server.answer(message)
        )
        self.do(self.given("accept", unencrypted=True))
        self.assertIn("with bob", self.err[0])

    def test_encryption_is_required(self) -> None:
        """What requires encryption cannot be had without it (decisions 6.2)."""
        self.server.at_login = [request(1)]
        self.server.refusals = {wire.AllowUnencrypted: wire.Error(error_code=3000, message="Encryption is required")}
        failed = self.begin(self.given("accept", unencrypted=True))
        self.assertEqual(self.failureResultOf(failed, ServerRefused).value.text, "Encryption is required")

    def test_downgraded(self) -> None:
        """A conversation that begins without encryption after all is not accepted as if it had it."""
        self.server.at_login = [request(2)]
        self.server.on_key = [self.server.ready(encrypted=False)]
        self.assertIn("is not encrypted", self.declined(self.given("accept")))

    def test_nobody_asked(self) -> None:
        """Where there is no request there is nothing to accept or decline."""
        for command in ("accept", "decline"):
            running = self.begin(self.given(command))
            self.clock.advance(GRACE_SECONDS)
            self.assertIn("bob has not asked", str(self.failureResultOf(running).value))

    def test_nothing_happens(self) -> None:
        """A server that does not open the conversation is not waited for without end."""
        self.server.at_login = [request(1)]
        running = self.begin(self.given("accept"))
        self.clock.advance(5)
        self.assertIn("did not begin", str(self.failureResultOf(running).value))

    def test_decline(self) -> None:
        """A request is declined with its id."""
        self.server.at_login = [request(1)]
        self.assertEqual(self.do(self.given("decline")), ["declined to talk to bob"])
        self.assertEqual(self.server.heard(wire.DeclineDM), [wire.DeclineDM(dm_channel_id=INVITE)])

    def test_refused_decline(self) -> None:
        """A refusal is not overlooked, although the message has no reply."""
        self.server.at_login = [request(1)]
        self.server.refusals = {wire.DeclineDM: wire.Error(error_code=3000, message="Not authorized")}
        self.failureResultOf(self.begin(self.given("decline")), ServerRefused)

    def test_two_clients(self) -> None:
        """Two command lines with the same key file are the same person to bob."""
        self.server.on_dm = [self.server.ready()]
        self.do(self.given("dm", text="one"))
        self.do(self.given("dm", text="two"))
        keys = {each.public_key for each in self.server.heard(wire.ProvidePublicKey)}
        self.assertEqual(keys, {load_or_create(self.key_file).public})
        self.assertNotEqual(keys, {KeyPair.generate().public})
