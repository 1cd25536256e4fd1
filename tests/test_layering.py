"""Who may import whom: the layers of the architecture, enforced by reading the imports of every module."""

import ast
import re
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
_STATEMENT = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|PRAGMA\s+\w|CREATE\s+(TABLE|INDEX))\s*\b",
    re.S,
)

_DATE = re.compile(r"\btime\.time(?:_ns)?\b|\bdatetime\.(?:utc)?now\b|\.seconds\(\) \* 1000\b")


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of every module in a package, or of the one module of that name."""
    path = SOURCE / package.replace(".", "/")
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        name = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        yield name, ast.parse(file.read_text("utf-8"), str(file))


def imports(name: str, tree: ast.Module) -> Iterator[str]:
    """Every module or name a module imports, dotted; `from a import b` gives a.b. Imports anywhere count."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")[: -node.level]
                base = ".".join([*parents, *([base] if base else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_within(imported: str, packages: tuple[str, ...]) -> bool:
    """Whether an import is one of these packages or something inside them."""
    return any(imported == package or imported.startswith(f"{package}.") for package in packages)


def top_level(imported: str) -> str:
    """The package an import belongs to."""
    return imported.split(".")[0]


class LayeringTests(SynchronousTestCase):
    """The rules, one test each; a failure names the module and what it must not import."""

    def none_import(self, package: str, *forbidden: str) -> None:
        """No module of the package imports any of these."""
        found = [
            f"{name} imports {imported}"
            for name, tree in modules(package)
            for imported in imports(name, tree)
            if is_within(imported, forbidden)
        ]
        self.assertEqual(found, [])

    def only_import(self, package: str, *allowed: str) -> None:
        """Every module of the package imports only the standard library, itself and these."""
        found = [
            f"{name} imports {imported}"
            for name, tree in modules(package)
            for imported in imports(name, tree)
            if top_level(imported) not in sys.stdlib_module_names and not is_within(imported, (package, *allowed))
        ]
        self.assertEqual(found, [])

    def only_in(self, forbidden: str, *homes: str) -> None:
        """Nothing outside these modules imports this."""
        found = [
            f"{name} imports {imported}"
            for name, tree in modules("superchat")
            for imported in imports(name, tree)
            if is_within(imported, (forbidden,)) and not is_within(name, homes)
        ]
        self.assertEqual(found, [])

    def test_wire(self) -> None:
        """wire/ is pure: the standard library, attrs and lz4, nothing of ours and no Twisted."""
        self.only_import("superchat.wire", "attrs", "lz4")

    def test_chat(self) -> None:
        """The rules of chat/ know no transport and no operations."""
        self.none_import("superchat.chat", "superchat.net", "superchat.ops", "superchat.tap", "superchat.tools")

    def test_storage(self) -> None:
        """storage/ knows only the model: no rules, no transports."""
        ours = ("superchat.model", "superchat.ids", "superchat.histogram", "superchat.clocks")
        self.only_import("superchat.storage", *ours, "attrs", "zope.interface", "twisted")

    def test_model(self) -> None:
        """The values depend on nothing of ours."""
        values = ("superchat.model", "superchat.ids", "superchat.histogram", "superchat.errors", "superchat.clocks")
        for module in values:
            self.none_import(module, "superchat.chat", "superchat.net", "superchat.ops", "superchat.storage")

    def test_config(self) -> None:
        """The configuration depends on attrs alone, so that every tool can read it."""
        self.only_import("superchat.config", "attrs")

    def test_nothing_imports_tap(self) -> None:
        """The parts never know the place where they meet."""
        self.only_in("superchat.tap")

    def test_global_reactor(self) -> None:
        """The global reactor is for tap and the tools; everyone else is given one."""
        self.only_in("twisted.internet.reactor", "superchat.tap", "superchat.tools")

    def test_loadtest(self) -> None:
        """The load generator sees a server as any client does: it knows the protocol, and needs no reactor."""
        self.only_import("superchat.loadtest", "superchat.wire", "attrs")

    def test_metrics_library(self) -> None:
        """prometheus_client stays in ops/metrics.py."""
        self.only_in("prometheus_client", "superchat.ops.metrics")

    def test_databases(self) -> None:
        """Only storage/ imports a database."""
        for library in ("sqlite3", "txpostgres", "psycopg2", "twisted.enterprise"):
            self.only_in(library, "superchat.storage")

    def test_sql(self) -> None:
        """No SQL outside storage/."""
        found = [
            f"{name}:{node.lineno}: {node.value[:40]!r}"
            for name, tree in modules("superchat")
            if not is_within(name, ("superchat.storage",))
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.search(node.value)
        ]
        self.assertEqual(found, [])

    def test_dates(self) -> None:
        """What the server stores, sends or logs has its date from clocks.py, however the wall clock is set; the
        reactor's clock tells only how long something takes."""
        tools = ("superchat.client", "superchat.loadtest", "superchat.tools")
        found = [
            f"{name}: {date}"
            for name, tree in modules("superchat")
            if not is_within(name, ("superchat.clocks", *tools))
            for date in (*_DATE.findall(ast.unparse(tree)), *(one for one in imports(name, tree) if _DATE.match(one)))
        ]
        self.assertEqual(found, [])

    def test_plugin_package(self) -> None:
        """src/twisted has no __init__.py: a wheel would overwrite Twisted's own."""
        self.assertEqual(list((SOURCE / "twisted").rglob("__init__.py")), [])

    def test_declared_requirements(self) -> None:
        """Everything imported is required in setup.cfg, and everything required is imported."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        required = setup["options"]["install_requires"] + setup["options.extras_require"]["postgres"]
        names = {re.split(r"[\s<>=;\[]", line)[0].lower() for line in required.split("\n") if line.strip()}
        declared = {{
            "zope.interface": "zope",
            "psycopg2-binary": "psycopg2",
            "prometheus-client": "prometheus_client",
        }.get(name, name) for name in names}
        imported = {
            top_level(one)
            for name, tree in modules("superchat")
            for one in imports(name, tree)
            if top_level(one) not in sys.stdlib_module_names and top_level(one) != "superchat"
        }
        self.assertEqual(imported - declared, set())
        ahead = {"pyopenssl", "txpostgres", "psycopg2"}  # TLS and PostgreSQL are being built on them
        self.assertEqual(declared - imported - ahead, set())
