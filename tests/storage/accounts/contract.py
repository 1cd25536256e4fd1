"""What every storage engine promises about accounts; each engine's tests inherit all of it."""

from __future__ import annotations

from typing import Any

import attrs

from superchat.model import Account, Act, NewAccount, NewAct, NewBan, NewChannel, NewSSHKey, Participant, SSHKey
from superchat.storage.errors import (
    KeyTaken,
    LastKey,
    NameTaken,
    Renamed,
    Unavailable,
    UnknownAccount,
    UnknownKey,
)
from tests.storage.engines import FAR_IDS, NOON_MS, EngineTestCase

KEY = NewSSHKey("SHA256:first", "ssh-ed25519 AAAA anna@home", "ssh-ed25519", "anna@home")
OTHER_KEY = NewSSHKey("SHA256:second", "ssh-rsa BBBB", "ssh-rsa", "")


def new_account(nickname: str = "anna", **changes: Any) -> NewAccount:
    """Somebody with a password."""
    values: dict[str, Any] = {"password_hash": f"hash of {nickname}", "user_flags": 0, "created_at": NOON_MS}
    return NewAccount(**({"nickname": nickname} | values | changes))


def act(action: str, target: str = "anna") -> NewAct:
    """Something that an operator did."""
    return NewAct("operator", None, "local", action, "user", None, target, "", NOON_MS)


class AccountsContract(EngineTestCase):
    """Inherit, together with an engine's test case."""

    def create(self, nickname: str = "anna", key: NewSSHKey | None = None, **changes: Any) -> Account:
        return self.result(self.storage.create_account(new_account(nickname, **changes), key))

    def account(self, account: Account) -> Account | None:
        return self.result(self.storage.account(account.id))

    def owner(self, name: str) -> int | None:
        found = self.result(self.storage.account_named(name))
        return None if found is None else found.id

    def keys(self, account: Account) -> list[SSHKey]:
        return self.result(self.storage.ssh_keys(account.id))

    def add_key(self, account: Account, key: NewSSHKey = KEY, added_at: int = NOON_MS) -> SSHKey:
        return self.result(self.storage.add_ssh_key(account.id, key, added_at))

    def acts(self) -> list[Act]:
        return self.result(self.storage.acts(50))

    # Making and finding accounts

    def test_create(self) -> None:
        """An account is stored as it was asked for, and is there after a restart."""
        anna = self.create(user_flags=1)
        expected = Account(anna.id, "anna", 1, "hash of anna", "anna", NOON_MS, NOON_MS, None, False)
        self.assertEqual(anna, expected)
        self.assertGreater(self.create("bob").id, anna.id)
        self.reopen()
        self.assertEqual(self.account(anna), expected)
        self.assertIs(expected.allow_unencrypted, False)

    def test_names_ignore_case(self) -> None:
        """A name belongs to one account whatever its case, and is shown as it was typed (decisions 2.3)."""
        anna = self.create("Anna")
        self.assertEqual(self.result(self.storage.account_named("aNNA")), anna)
        self.assertIsNone(self.owner("ann"))
        self.assert_refused(self.storage.create_account(new_account("ANNA")), NameTaken)
        self.assertEqual(self.result(self.storage.accounts(10)), [anna])

    def test_create_with_key(self) -> None:
        """An account may begin with a key and no password, as SSH makes them (decisions 2.7)."""
        anna = self.create(key=KEY, password_hash="")
        self.assertEqual((anna.password_hash, anna.password_name), ("", None))
        (key,) = self.keys(anna)
        self.assertEqual(key, SSHKey(key.id, anna.id, added_at=NOON_MS, last_used_at=None, **attrs.asdict(KEY)))

    def test_create_leaves_no_trace_when_refused(self) -> None:
        """A key that is somebody's already makes no account, and frees the name it asked for."""
        self.create(key=KEY)
        making = self.storage.create_account(new_account("bob"), KEY, act("create_user", "bob"))
        self.assert_refused(making, KeyTaken)
        self.assertIsNone(self.owner("bob"))
        self.assertEqual(self.acts(), [])
        self.create("bob", OTHER_KEY)

    def test_refusal_leaves_others_alone(self) -> None:
        """What is refused does not disturb what shares its moment."""
        made = [self.storage.create_account(new_account(name)) for name in ("anna", "Anna", "bob")]
        self.assert_refused(made[1], NameTaken)
        self.assertEqual([self.result(each).nickname for each in (made[0], made[2])], ["anna", "bob"])

    def test_ids_beyond_the_database(self) -> None:
        """Ids that no row can have are those of nobody."""
        self.create()
        for far in (0, 99, *FAR_IDS):
            self.assertIsNone(self.result(self.storage.account(far)))
            self.assertEqual(self.result(self.storage.ssh_keys(far)), [])
            self.result(self.storage.use_ssh_key(far, NOON_MS))
            for changing in (
                self.storage.rename_account(far, "bob"),
                self.storage.set_password(far, "new"),
                self.storage.set_flags(far, 1),
                self.storage.set_encryption_key(far, None),
                self.storage.allow_unencrypted(far, True),
                self.storage.seen(far, NOON_MS),
                self.storage.delete_account(far, NOON_MS),
                self.storage.add_ssh_key(far, KEY, NOON_MS),
            ):
                self.assert_refused(changing, UnknownAccount)

    def test_name_that_is_no_text(self) -> None:
        """Any text may be looked for, such as clients make of bytes that are no UTF-8."""
        self.create("an?na")
        for name in ("an\udcffna", "\udcff", "\x00", "é" * 70_000):
            self.assertIsNone(self.owner(name))

    def test_list(self) -> None:
        """Accounts are listed by nickname ignoring case, page by page."""
        for name in ("dora", "Bob", "anna", "Carl"):
            self.create(name)
        first = self.result(self.storage.accounts(2))
        second = self.result(self.storage.accounts(5, first[-1].nickname.upper()))
        self.assertEqual([account.nickname for account in first + second], ["anna", "Bob", "Carl", "dora"])
        for limit in (0, -1):
            self.assertEqual(self.result(self.storage.accounts(limit)), [])
        self.assertEqual(len(self.result(self.storage.accounts(2**70))), 4)

    def test_list_has_each_account_once(self) -> None:
        """An account with two names is listed under its nickname alone."""
        anna = self.result(self.storage.rename_account(self.create("anna").id, "zoe"))
        bob = self.create("bob")
        self.assertEqual(self.result(self.storage.accounts(10)), [bob, anna])

    def test_closed(self) -> None:
        """A closed storage says so."""
        self.result(self.storage.close())
        self.assert_refused(self.storage.account_named("anna"), Unavailable)
        self.assert_refused(self.storage.create_account(new_account()), Unavailable)

    # Names and passwords

    def test_rename_keeps_the_login_name(self) -> None:
        """After a rename the account is found under both names, and nobody else gets either (decisions 2.5)."""
        anna = self.create("Anna")
        renamed = self.result(self.storage.rename_account(anna.id, "Zoe"))
        self.assertEqual(renamed, attrs.evolve(anna, nickname="Zoe"))
        self.assertEqual((self.owner("anna"), self.owner("zoe")), (anna.id, anna.id))
        for name in ("ANNA", "ZOE"):
            self.assert_refused(self.storage.create_account(new_account(name)), NameTaken)

    def test_rename_again(self) -> None:
        """Of many renames only the name that the password is salted with stays reserved (decisions 2.5)."""
        anna = self.create("anna")
        for name in ("maria", "zoe"):
            self.result(self.storage.rename_account(anna.id, name))
        self.assertEqual([self.owner(name) for name in ("anna", "maria", "zoe")], [anna.id, None, anna.id])
        self.assertNotEqual(self.create("maria").id, anna.id)

    def test_rename_back(self) -> None:
        """The reserved name can be taken back, and other case is another nickname but the same name."""
        anna = self.create("anna")
        for name in ("zoe", "ANNA", "anna"):
            self.assertEqual(self.result(self.storage.rename_account(anna.id, name)).nickname, name)
        self.assertEqual((self.owner("anna"), self.owner("zoe")), (anna.id, None))

    def test_rename_to_taken(self) -> None:
        """Neither a nickname nor a reserved login name of somebody else can be taken."""
        anna, bob = self.create("anna"), self.create("bob")
        self.result(self.storage.rename_account(anna.id, "zoe"))
        for name in ("ANNA", "Zoe"):
            self.assert_refused(self.storage.rename_account(bob.id, name), NameTaken)
        self.assertEqual(self.account(bob), bob)

    def test_rename_without_password(self) -> None:
        """Without a password no old name needs to be kept."""
        anna = self.create("anna", KEY, password_hash="")
        self.result(self.storage.rename_account(anna.id, "zoe"))
        self.assertIsNone(self.owner("anna"))

    def test_new_password_frees_the_old_name(self) -> None:
        """A new password is salted with the nickname of today, so the old name is free again (decisions 2.5)."""
        anna = self.create("anna")
        self.result(self.storage.rename_account(anna.id, "zoe"))
        changed = self.result(self.storage.set_password(anna.id, "new hash"))
        self.assertEqual((changed.password_hash, changed.password_name), ("new hash", "zoe"))
        self.assertIsNone(self.owner("anna"))
        self.create("anna")

    def test_password_of_a_nickname(self) -> None:
        """A password that goes with a nickname is not stored for another one (decisions 2.5)."""
        anna = self.create("anna")
        renamed = self.result(self.storage.rename_account(anna.id, "Anna"))
        self.assert_refused(self.storage.set_password(anna.id, "new", act("reset_password"), named="anna"), Renamed)
        self.assertEqual((self.account(anna), self.acts()), (renamed, []))
        self.assertEqual(self.result(self.storage.set_password(anna.id, "new", named="Anna")).password_name, "Anna")

    def test_remove_password(self) -> None:
        """A password can be removed when there is a key, and the reserved name with it."""
        anna = self.create("anna")
        self.assert_refused(self.storage.set_password(anna.id, "", act("reset_password")), LastKey)
        self.add_key(anna)
        self.result(self.storage.rename_account(anna.id, "zoe"))
        changed = self.result(self.storage.set_password(anna.id, ""))
        self.assertEqual((changed.password_hash, changed.password_name), ("", None))
        self.assertEqual((self.owner("anna"), self.owner("zoe")), (None, anna.id))
        self.assertEqual(self.acts(), [])

    def test_secrets_are_not_shown(self) -> None:
        """No text about an account has its password's hash."""
        self.assertNotIn("hash of", f"{new_account()!r} {self.create()!r}")

    def test_bans_follow_the_name(self) -> None:
        """Who registers or renames to a banned nickname is banned by account (decisions 7.1)."""
        for name in ("anna", "zoe"):
            ban = NewBan("user", None, name, None, "spam", False, NOON_MS, None, "admin")
            self.result(self.storage.add_ban(ban, act("ban_user", name)))
        anna, bob = self.create("Anna"), self.create("bob")
        self.result(self.storage.rename_account(bob.id, "Zoe"))
        bans = self.result(self.storage.bans(NOON_MS, False))
        self.assertEqual({ban.nickname: ban.account_id for ban in bans}, {"anna": anna.id, "zoe": bob.id})

    # Everything else about an account

    def test_changes(self) -> None:
        """Flags, key, consent and last login are stored, each change returned and there after a restart."""
        anna = self.create()
        self.result(self.storage.set_flags(anna.id, 3))
        self.result(self.storage.set_encryption_key(anna.id, b"k" * 32))
        self.result(self.storage.allow_unencrypted(anna.id, True))
        changed = self.result(self.storage.seen(anna.id, NOON_MS + 5))
        expected = attrs.evolve(
            anna, user_flags=3, encryption_public_key=b"k" * 32, allow_unencrypted=True, last_seen=NOON_MS + 5
        )
        self.assertEqual(changed, expected)
        self.reopen()
        self.assertEqual(self.account(anna), expected)
        self.assertIs(expected.allow_unencrypted, True)
        self.result(self.storage.allow_unencrypted(anna.id, False))
        self.assertIsNone(self.result(self.storage.set_encryption_key(anna.id, None)).encryption_public_key)

    def test_far_times(self) -> None:
        """A time beyond 63 bits is stored as the last moment there is."""
        anna = self.create(created_at=2**70)
        self.assertEqual((anna.created_at, anna.last_seen), (2**63 - 1, 2**63 - 1))
        self.assertEqual(self.result(self.storage.seen(anna.id, -(2**70))).last_seen, -(2**63 - 1))

    def test_power_is_recorded(self) -> None:
        """What an operator does to an account is in the audit log with it, and nothing else is (decisions 7.3)."""
        making = self.storage.create_account(new_account(), None, act("create_user"))
        anna = self.result(making)
        self.result(self.storage.set_flags(anna.id, 1, act("grant")))
        self.result(self.storage.set_password(anna.id, "new", act("reset_password")))
        self.result(self.storage.set_password(anna.id, "my own"))
        self.result(self.storage.delete_account(anna.id, NOON_MS, act("delete_user")))
        actions = [each.action for each in reversed(self.acts())]
        self.assertEqual(actions, ["create_user", "grant", "reset_password", "delete_user"])
        self.assertEqual(self.acts()[-1].target_id, anna.id)

    def test_refused_power_is_not_recorded(self) -> None:
        """The audit log has no act that did not happen."""
        for refused in (
            self.storage.set_flags(99, 1, act("grant")),
            self.storage.set_password(99, "new", act("reset_password")),
            self.storage.delete_account(99, NOON_MS, act("delete_user")),
        ):
            self.assert_refused(refused, UnknownAccount)
        self.assertEqual(self.acts(), [])

    # Deleting accounts

    def test_delete(self) -> None:
        """A deleted account is returned as it was, and nothing finds it any more, also after a restart."""
        anna = self.create(user_flags=1, key=KEY)
        self.assertEqual(self.result(self.storage.delete_account(anna.id, NOON_MS)), anna)
        self.reopen()
        self.assertIsNone(self.account(anna))
        self.assertIsNone(self.owner("anna"))
        self.assertEqual((self.keys(anna), self.result(self.storage.accounts(10))), ([], []))
        self.assertIsNone(self.result(self.storage.ssh_key(KEY.fingerprint)))
        self.assert_refused(self.storage.delete_account(anna.id, NOON_MS), UnknownAccount)

    def test_delete_frees_names_and_keys(self) -> None:
        """Names, reserved ones too, and keys of a deleted account can be taken; its id is never given again."""
        anna = self.create("anna", KEY)
        self.result(self.storage.rename_account(anna.id, "zoe"))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        successors = [self.create("anna", KEY), self.create("zoe", OTHER_KEY)]
        self.assertTrue(all(new.id > anna.id for new in successors))

    def test_delete_ends_conversations(self) -> None:
        """A direct conversation goes on for who is left, and ends with the last (decisions 6.1)."""
        anna, bob = self.create("anna"), self.create("bob")
        sides = [Participant(each.id, None, each.nickname) for each in (anna, bob)]
        shared = self.result(self.storage.open_direct(sides, NOON_MS))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        self.assertEqual(self.result(self.storage.participants()), [(shared.id, sides[1])])
        self.result(self.storage.delete_account(bob.id, NOON_MS))
        self.assertEqual(self.result(self.storage.participants()), [])
        self.assertEqual(self.result(self.storage.channels()), [])

    def test_delete_keeps_channels(self) -> None:
        """A channel outlives the account that made it."""
        anna = self.create()
        made = NewChannel("general", "General", "", 1, 0, created_by=anna.id)
        channel = self.result(self.storage.create_channel(made, NOON_MS))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        self.assertEqual([each.id for each in self.result(self.storage.channels())], [channel.id])

    def test_delete_forgets_what_was_read(self) -> None:
        """How far a deleted account had read is gone with it."""
        anna = self.create()
        channel = self.result(self.storage.create_channel(NewChannel("general", "", "", 1, 0), NOON_MS))
        self.result(self.storage.set_read(anna.id, channel.id, NOON_MS, NOON_MS))
        self.result(self.storage.delete_account(anna.id, NOON_MS))
        self.assertEqual(self.result(self.storage.read_positions(anna.id, [channel.id])), {})

    # SSH keys

    def test_keys(self) -> None:
        """Keys are listed newest first, with when they were last used, also after a restart."""
        anna, bob = self.create("anna"), self.create("bob")
        first, second = self.add_key(anna), self.add_key(anna, OTHER_KEY, NOON_MS + 1)
        self.result(self.storage.use_ssh_key(first.id, NOON_MS + 9))
        used = attrs.evolve(first, last_used_at=NOON_MS + 9)
        self.reopen()
        self.assertEqual((self.keys(anna), self.keys(bob)), ([second, used], []))
        self.assertEqual(self.result(self.storage.ssh_key(KEY.fingerprint)), used)
        self.assertIsNone(self.result(self.storage.ssh_key("SHA256:other")))

    def test_keys_of_one_moment(self) -> None:
        """Of keys that were added in the same millisecond the later one comes first."""
        anna = self.create()
        first, second = self.add_key(anna), self.add_key(anna, OTHER_KEY)
        self.assertEqual(self.keys(anna), [second, first])

    def test_key_is_in_one_account(self) -> None:
        """Nobody adds a key that is anybody's, their own included (reference 2.1)."""
        anna, bob = self.create("anna", KEY), self.create("bob")
        for account in (anna, bob):
            self.assert_refused(self.storage.add_ssh_key(account.id, KEY, NOON_MS), KeyTaken)
        self.assertEqual((len(self.keys(anna)), self.keys(bob)), (1, []))

    def test_label(self) -> None:
        """A key of one's own gets another label, and of anybody else's nothing changes."""
        anna, bob = self.create("anna"), self.create("bob")
        key = self.add_key(anna)
        self.result(self.storage.rename_ssh_key(anna.id, key.id, "lap\u00adtop"))
        for account_id, key_id in ((bob.id, key.id), (anna.id, 99), *((anna.id, far) for far in FAR_IDS)):
            self.assert_refused(self.storage.rename_ssh_key(account_id, key_id, "stolen"), UnknownKey)
        self.assertEqual(self.keys(anna), [attrs.evolve(key, label="lap\u00adtop")])

    def test_delete_key(self) -> None:
        """A key of one's own can be forgotten, and nobody else's."""
        anna, bob = self.create("anna"), self.create("bob")
        key = self.add_key(anna)
        for account_id, key_id in ((bob.id, key.id), (anna.id, 99), *((far, key.id) for far in FAR_IDS)):
            self.assert_refused(self.storage.delete_ssh_key(account_id, key_id), UnknownKey)
        self.result(self.storage.delete_ssh_key(anna.id, key.id))
        self.assertEqual(self.keys(anna), [])
        self.assertGreater(self.add_key(bob).id, key.id)

    def test_last_key(self) -> None:
        """Without a password the last key stays (reference 2.1)."""
        anna = self.create("anna", KEY, password_hash="")
        second = self.add_key(anna, OTHER_KEY)
        self.result(self.storage.delete_ssh_key(anna.id, second.id))
        (last,) = self.keys(anna)
        self.assert_refused(self.storage.delete_ssh_key(anna.id, last.id), LastKey)
        self.assertEqual(self.keys(anna), [last])
        self.result(self.storage.set_password(anna.id, "hash"))
        self.result(self.storage.delete_ssh_key(anna.id, last.id))
