"""Wheel, source distribution and editable install: in each, twistd offers `superchat` and complains of nothing."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from superchat import __version__

ROOT = Path(__file__).resolve().parent.parent
_GENERATED = (
    ".git .venv .tox .*_cache .hypothesis _trial_temp* build dist *.egg-info __pycache__ dropin.cache .coverage*"
)
_OURS = shutil.ignore_patterns("superchat*", "__editable__*", "*.pth", "dropin.cache", "__pycache__")
_BUILD = "import sys, setuptools.build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
_CACHE = "from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))"
_TWISTD = "from twisted.scripts.twistd import run; run()"


def borrow(source: Path, target: Path, *unfold: str) -> None:
    """Link everything in a site-packages directory but what is ours; `unfold` names folders to copy as such.

    So an environment has all requirements, installed as pip would have, without the network.
    """
    ours = _OURS(str(source), os.listdir(source))
    for entry in source.iterdir():
        if entry.name in ours:
            continue
        if entry.name in unfold[:1]:
            (target / entry.name).mkdir()
            borrow(entry, target / entry.name, *unfold[1:])
        elif not (target / entry.name).exists():
            (target / entry.name).symlink_to(entry)


class LowerBoundTests(SynchronousTestCase):
    """What `tox -e minimum` tests."""

    def test_same_bounds(self) -> None:
        """The lowest versions setup.cfg allows are exactly those that are tested."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", "utf-8")
        allowed = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
        minimum = (ROOT / "tests" / "minimum.txt").read_text("utf-8")
        bounds = dict(re.findall(r"^([\w.-]+)\S* >= (\d\S*?)(?:\.0)*$", allowed, re.MULTILINE))
        tested = dict(re.findall(r"^([\w.-]+)==(\d\S*?)(?:\.0)*$", minimum, re.MULTILINE))
        del tested["service-identity"]  # comes with Twisted[tls]
        self.assertEqual(tested, bounds)


class PackagingTests(SynchronousTestCase):
    """Built and installed from a copy of the tree, each time into an environment of its own."""

    def setUp(self) -> None:
        """A clean copy of the tree, and a new environment that has the requirements but not us."""
        if not (ROOT / "setup.cfg").exists():
            raise SkipTest("needs the source tree")
        base = Path(self.mktemp()).absolute()
        self.tree, self.dist, self.venv = base / "tree", base / "dist", base / "venv"
        shutil.copytree(ROOT, self.tree, ignore=shutil.ignore_patterns(*_GENERATED.split()))
        self.dist.mkdir()
        self.run_program(sys.executable, "-m", "venv", "--without-pip", str(self.venv))
        site = sysconfig.get_path("purelib", "venv", {"base": str(self.venv)})
        borrow(Path(sysconfig.get_path("purelib")), Path(site), "twisted", "plugins")

    def run_program(self, *command: str) -> str:
        """Run something in the tree; it must succeed. Returns what it printed."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(command, cwd=self.tree, env=environ, text=True, capture_output=True, timeout=200)
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def python(self, *arguments: str) -> str:
        """Run the environment's interpreter; what it printed."""
        return self.run_program(str(self.venv / "bin" / "python"), *arguments)

    def build(self, kind: str) -> Path:
        """Build a "wheel" or an "sdist"."""
        self.python("-c", _BUILD, kind, str(self.dist))
        (built,) = self.dist.iterdir()
        return built

    def assert_works_installed(self, *what: str) -> None:
        """Install with pip; then twistd knows the plugin, and the console scripts run."""
        self.python("-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", *what)
        # As after every installation; the second run must find the cache in order.
        self.python("-c", _CACHE)
        output = self.python("-c", _TWISTD, "--help")
        self.assertRegex(output, r"\n +superchat +A chat server")
        self.assertNotIn("Unable to write to plugin cache", output)
        scripts = self.venv / "bin"
        self.assertEqual(self.run_program(str(scripts / "scd"), "--version"), f"SuperChat Server {__version__}\n")
        self.assertIn("superchat-cli", self.run_program(str(scripts / "superchat-cli"), "--help"))
        self.python("-c", "import superchat.tap")

    def test_wheel(self) -> None:
        """The wheel has every module, schema and type marker, nothing of Twisted's own, and works."""
        wheel = self.build("wheel")
        self.assertTrue(wheel.name.startswith(f"superchat-{__version__}-py3-none-any"))
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        source = self.tree / "src"
        ours = [path for path in source.rglob("*") if path.suffix in (".py", ".sql") or path.name == "py.typed"]
        packed = {name for name in names if ".dist-info/" not in name}
        self.assertEqual(packed, {str(path.relative_to(source)) for path in ours})
        self.assertNotIn("twisted/__init__.py", names)
        self.assertNotIn("twisted/plugins/__init__.py", names)
        self.assert_works_installed(str(wheel))

    def test_sdist(self) -> None:
        """The source distribution has all that a packager needs to build and test, and works."""
        sdist = self.build("sdist")
        with tarfile.open(sdist) as archive:
            names = {name.partition("/")[2] for name in archive.getnames()}
        needed = ("LICENSE", "Makefile", "tox.ini", "etc/superchat.toml", "tests/run.py", "tests/test_packaging.py")
        self.assertEqual(set(needed) - names, set())
        self.assertFalse([name for name in names if name.endswith(("dropin.cache", ".pyc"))])
        self.assert_works_installed(str(sdist))

    def test_editable(self) -> None:
        """An editable install works from the tree itself."""
        self.assert_works_installed("--editable", ".")
        where = self.python("-c", "import superchat; print(superchat.__file__)").strip()
        self.assertEqual(Path(where), self.tree / "src" / "superchat" / "__init__.py")
