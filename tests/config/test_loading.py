"""Where values come from, and what is said about wrong ones."""

import pwd
from pathlib import Path
from typing import NoReturn

import attrs
from hypothesis import given
from hypothesis import strategies as st

from superchat.config import (
    FLAGS,
    KEYS,
    Config,
    ConfigError,
    default_channels,
    default_path,
    environment_name,
    load,
    overrides,
)
from superchat.config.document import Unreadable
from superchat.config.document import read as read_document
from superchat.config.settings import SECTIONS
from tests.config.loading import HOME, ConfigTestCase


class PrecedenceTests(ConfigTestCase):
    """Defaults, file, environment, command line (reference section 10)."""

    def test_defaults(self) -> None:
        """A server without any configuration gets the documented defaults."""
        config = load({}, HOME)
        default = Config()
        self.assertEqual(config.limits, default.limits)
        self.assertEqual(config.retention, default.retention)
        self.assertEqual(config.channels, default_channels())
        self.assertEqual((config.server.tcp_port, config.server.http_port), (6465, 8080))

    def test_file_over_default(self) -> None:
        """A value of the file replaces the default."""
        self.assertEqual(self.loaded("[server]\ntcp_port = 7000\n").server.tcp_port, 7000)

    def test_environment_over_file(self) -> None:
        """A value of the environment replaces the file's."""
        config = self.loaded("[server]\ntcp_port = 7000\n", {"SUPERCHAT_SERVER_TCP_PORT": "7001"})
        self.assertEqual(config.server.tcp_port, 7001)

    def test_command_line_over_environment(self) -> None:
        """A flag replaces everything else."""
        environ = {"SUPERCHAT_SERVER_TCP_PORT": "7001"}
        config = self.loaded("[server]\ntcp_port = 7000\n", environ, {"server.tcp_port": "7002"})
        self.assertEqual(config.server.tcp_port, 7002)

    def test_flag_not_given(self) -> None:
        """A flag that is not given overrides nothing."""
        self.assertEqual(
            self.loaded("[server]\ntcp_port = 7000\n", argv={"server.tcp_port": None}).server.tcp_port, 7000
        )

    def test_typed_override(self) -> None:
        """Programs may override with values instead of text."""
        self.assertEqual(load({"server.tcp_port": 0}, HOME).server.tcp_port, 0)

    def test_overridden_mistake_counts(self) -> None:
        """A wrong value is named even where a later source replaces it."""
        found = self.mistakes("[server]\ntcp_port = -1\n", {"SUPERCHAT_SERVER_TCP_PORT": "7001"})
        self.assertEqual(len(found), 1)

    def test_every_key_from_the_environment(self) -> None:
        """Every key has its environment name, SUPERCHAT_SECTION_KEY."""
        for dotted, key in KEYS.items():
            section, name = dotted.split(".")
            value = getattr(getattr(Config(), section), name)
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            config = load({}, {**HOME, environment_name(dotted): text})
            if name not in ("data_directory", "database_path"):
                self.assertEqual(getattr(getattr(config, section), name), value, key)

    def test_list_from_the_environment(self) -> None:
        """Lists are separated by commas in the environment."""
        config = load({}, {**HOME, "SUPERCHAT_SERVER_ADMIN_USERS": " alice, bob ,"})
        self.assertEqual(config.server.admin_users, ("alice", "bob"))


class FlagTests(ConfigTestCase):
    """The command line's flags (reference section 10)."""

    def test_names(self) -> None:
        """The reference's flags exist, and no others."""
        names = "config port db debug version disable-directory announce-to server-name server-description"
        self.assertEqual([flag.name for flag in FLAGS], names.split())

    def test_overrides(self) -> None:
        """Parsed options become overrides; switches that are off and missing values override nothing."""
        options = {"port": "7000", "db": None, "debug": 0, "server-name": "Mine", "config": "x", "disable-directory": 1}
        expected = {"server.tcp_port": "7000", "discovery.server_name": "Mine", "discovery.directory_enabled": False}
        self.assertEqual(overrides(options), expected)

    def test_debug(self) -> None:
        """--debug is the same as logging.debug = true."""
        self.assertTrue(load(overrides({"debug": 1}), HOME).logging.debug)

    def test_debug_not_given(self) -> None:
        """Leaving --debug out does not switch off what the file switched on."""
        self.assertTrue(self.loaded("[logging]\ndebug = true\n", argv=overrides({"debug": 0})).logging.debug)

    def test_disable_directory(self) -> None:
        """--disable-directory asks for what this release does, and is accepted."""
        self.assertIsInstance(load(overrides({"disable-directory": 1}), HOME), Config)

    def test_mistake_names_the_flag(self) -> None:
        """A wrong value names the flag it came with."""
        self.assertEqual(
            self.mistakes("", argv={"server.tcp_port": "x"}),
            ["--port: server.tcp_port: 'x' is no whole number, allowed is a whole number from 0 to 65535"],
        )


class PathTests(ConfigTestCase):
    """Where the files are (decisions 9.1)."""

    def test_default_file(self) -> None:
        """The file is looked for in XDG_CONFIG_HOME, else in ~/.config."""
        self.assertEqual(default_path(HOME), Path("/home/alice/.config/superchat/superchat.toml"))
        self.assertEqual(default_path({"XDG_CONFIG_HOME": "/c"}), Path("/c/superchat/superchat.toml"))

    def test_default_file_is_read(self) -> None:
        """The default file counts without being named, and the configuration knows it."""
        directory = Path(self.mktemp()).absolute()
        path = directory / "superchat" / "superchat.toml"
        path.parent.mkdir(parents=True)
        path.write_text("[server]\ntcp_port = 7000\n")
        config = load({}, {**HOME, "XDG_CONFIG_HOME": str(directory)})
        self.assertEqual((config.server.tcp_port, config.file), (7000, path))

    def test_no_default_file(self) -> None:
        """A missing default file is no mistake."""
        self.assertIsNone(load({}, HOME).file)

    def test_named_file_is_missing(self) -> None:
        """A missing file that was named with --config is a mistake."""
        error = self.assertRaises(ConfigError, load, {}, HOME, Path("/nowhere/at/all.toml"))
        self.assertEqual(str(error), "/nowhere/at/all.toml: no such file")

    def test_data_directory(self) -> None:
        """The data directory is XDG_DATA_HOME/superchat, else ~/.local/share/superchat, with superchat.db in it."""
        self.assertEqual(load({}, HOME).database_path, Path("/home/alice/.local/share/superchat/superchat.db"))
        self.assertEqual(load({}, {"XDG_DATA_HOME": "/d"}).data_directory, Path("/d/superchat"))

    def test_relative_xdg_path(self) -> None:
        """A relative XDG_DATA_HOME is invalid and ignored, as its specification says."""
        config = load({}, {**HOME, "XDG_DATA_HOME": "data"})
        self.assertEqual(config.data_directory, Path("/home/alice/.local/share/superchat"))

    def test_home_is_expanded(self) -> None:
        """A path may start with ~."""
        config = self.loaded('[server]\ndata_directory = "~/chat"\n')
        self.assertEqual(config.database_path, Path("/home/alice/chat/superchat.db"))
        self.assertEqual(self.loaded('[server]\ndata_directory = "~"\n').data_directory, Path("/home/alice"))

    def test_relative_path(self) -> None:
        """A relative path starts at the current folder and is absolute from then on."""
        self.assertEqual(load({"server.database_path": "x.db"}, HOME).database_path, Path.cwd() / "x.db")

    def test_no_home(self) -> None:
        """A user without a home directory is asked for the data directory, unless it is named."""

        def nobody(uid: int) -> NoReturn:
            raise KeyError(uid)

        self.patch(pwd, "getpwuid", nobody)
        error = self.assertRaises(ConfigError, load, {}, {})
        self.assertIn("name a directory", str(error))
        self.assertEqual(load({"server.data_directory": "/d"}, {}).data_directory, Path("/d"))


class MistakeTests(ConfigTestCase):
    """Mistakes are named, all at once, with file and line (decisions 9.6)."""

    def test_all_at_once(self) -> None:
        """Several mistakes in several sources come as one list."""
        text = "[server]\ntcp_prt = 1\nhttp_port = true\n\n[limits]\nmax_connections_per_ip = 300\n"
        self.assertEqual(
            self.mistakes(text, {"SUPERCHAT_LOGGING_DEBUG": "maybe"}),
            [
                "file:2: server.tcp_prt: unknown key, did you mean server.tcp_port?",
                "file:3: server.http_port: true/false given, allowed is a whole number from 0 to 65535",
                "file:6: limits.max_connections_per_ip: 300 is out of range, allowed is a whole number from 0 to 255",
                "environment SUPERCHAT_LOGGING_DEBUG: logging.debug: 'maybe' given, allowed is true or false",
            ],
        )

    def test_unknown_section(self) -> None:
        """An unknown section is named with the one that was meant."""
        self.assertEqual(self.mistakes("[limit]\nx = 1\n"), ["file:1: [limit]: unknown section, did you mean limits?"])

    def test_key_outside_sections(self) -> None:
        """A key before the first section is named with its place."""
        self.assertEqual(
            self.mistakes("tcp_port = 1\n"),
            ["file:1: tcp_port: unknown key outside any section, did you mean server.tcp_port?"],
        )

    def test_section_is_a_value(self) -> None:
        """A section given as a value is a mistake."""
        self.assertIn("allowed is a section", self.mistakes("server = 1\n")[0])

    def test_key_in_the_wrong_section(self) -> None:
        """A key in the wrong section is told the right one."""
        self.assertIn("did you mean server.tcp_port?", self.mistakes("[limits]\ntcp_port = 1\n")[0])

    def test_unlike_anything(self) -> None:
        """Nothing is suggested for a key that resembles none."""
        self.assertEqual(self.mistakes("[server]\nzzzzzz = 1\n"), ["file:2: server.zzzzzz: unknown key"])

    def test_unknown_environment_name(self) -> None:
        """A misspelt SUPERCHAT_ name is a mistake; other names are none of our business."""
        self.assertEqual(
            self.mistakes("", {"SUPERCHAT_LIMITS_MAX_USER": "1", "SUPERCHATTER": "1"}),
            ["environment SUPERCHAT_LIMITS_MAX_USER: unknown name, did you mean SUPERCHAT_LIMITS_MAX_USERS?"],
        )

    def test_later_keys(self) -> None:
        """The reference's keys of later releases are named as such, in the file and in the environment."""
        text = '[server]\nssh_host_key = "s3cret"\nssh_port = 6466\n[discovery]\npublic_hostname = "x"\n'
        self.assertEqual(
            self.mistakes(text, {"SUPERCHAT_DISCOVERY_MAX_USERS": "60"}),
            [
                "file:2: server.ssh_host_key: not part of this release",
                "file:3: server.ssh_port: not part of this release",
                "file:5: discovery.public_hostname: not part of this release",
                "environment SUPERCHAT_DISCOVERY_MAX_USERS: discovery.max_users: not part of this release",
            ],
        )

    def test_ssh_off(self) -> None:
        """ssh_port = 0 or below asks for what this release does, and is accepted."""
        for port in ("0", "-1"):
            self.loaded(f"[server]\nssh_port = {port}\n", {"SUPERCHAT_SERVER_SSH_PORT": port})

    def test_secret_is_not_repeated(self) -> None:
        """Neither a mistake about a password nor a printed configuration shows it."""
        for wrong in ('"s3cret"', '["s3cret is long"]'):
            self.assertNotIn("s3cret", self.mistakes(f"[server]\nadmin_password = {wrong}\n")[0])
        given = {"SUPERCHAT_SERVER_ADMIN_USERS": "root", "SUPERCHAT_SERVER_ADMIN_PASSWORD": "s3cret is long"}
        self.assertNotIn("s3cret", repr(self.loaded("", given)))

    def test_password_of_nobody(self) -> None:
        """A password is no good without the name of an administrator."""
        found = self.mistakes('[server]\nadmin_password = "s3cret is long"\n')
        text = "file:2: server.admin_password: server.admin_users names nobody whose password this could be"
        self.assertEqual(found, [text])

    def test_syntax(self) -> None:
        """A TOML syntax error is a mistake with its line."""
        found = self.mistakes("[server]\n\ntcp_port = = 1\n")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("file:3: TOML syntax: "), found)

    def test_long_value(self) -> None:
        """A mistake shows the beginning of a long value, on one line."""
        found = self.mistakes(f'[discovery]\nserver_name = "{"x" * 5000}"\n')
        self.assertLess(len(found[0]), 250)

    @given(st.dictionaries(st.sampled_from([*KEYS, "server.x"]), st.one_of(st.integers(), st.text(), st.booleans())))
    def test_any_values(self, argv: dict[str, object]) -> None:
        """Whatever is given, the answer is a configuration within its ranges or a list of mistakes."""
        try:
            config = load(argv, HOME)
        except ConfigError as error:
            self.assertTrue(error.mistakes)
            self.assertFalse([one for one in error.mistakes if "\n" in str(one)])
            return
        for section, cls in SECTIONS.items():
            for field in attrs.fields(cls):
                value = getattr(getattr(config, section), field.name)
                given_value = list(value) if isinstance(value, tuple) else value
                self.assertEqual(KEYS[f"{section}.{field.name}"].read(given_value), value)


class DocumentTests(ConfigTestCase):
    """Reading a file and finding the lines of its keys."""

    def test_lines(self) -> None:
        """Keys are found in sections, arrays of tables, dotted and quoted; multi-line texts are no keys."""
        text = (
            'a.b = 1\n[server] # comment\n"tcp_port" = 1\ntext = """\nfake = 1\n[fake]\n"""\n'
            "after = 2\n[[channels]]\nname = 'x'\n[[channels]]\nname = 'y'\n"
        )
        lines = read_document(self.written(text)).lines
        self.assertEqual(
            dict(lines),
            {
                ("a", "b"): 1,
                ("server",): 2,
                ("server", "tcp_port"): 3,
                ("server", "text"): 4,
                ("server", "after"): 8,
                ("channels", 0): 9,
                ("channels", 0, "name"): 10,
                ("channels", 1): 11,
                ("channels", 1, "name"): 12,
            },
        )

    def test_inline_table(self) -> None:
        """A key inside an inline table has the line of the table."""
        self.assertEqual(self.mistakes("\nlimits = {max_users = -1}\n")[0].split(": ")[0], "file:2")

    def test_not_utf8(self) -> None:
        """A file that is not UTF-8 is named with the line."""
        path = self.written("")
        path.write_bytes(b"[server]\n# \xff\n")
        error = self.assertRaises(Unreadable, read_document, path)
        self.assertEqual((error.where, error.problem), (f"{path}:2", "is not UTF-8"))

    def test_directory(self) -> None:
        """A directory in place of the file is a mistake, not a crash."""
        error = self.assertRaises(ConfigError, load, {}, HOME, Path.cwd())
        self.assertIn("cannot be read: Is a directory", str(error))

    def test_deep_nesting(self) -> None:
        """A hopelessly nested file is a mistake, not a crash."""
        error = self.assertRaises(Unreadable, read_document, self.written("a = " + "[" * 100_000))
        self.assertIn("TOML syntax", error.problem)
