"""Which function a line belongs to."""

import linecache
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from superchat.ops.profiling import sources
from superchat.ops.profiling.sources import MAX_FILES, Sources

EXAMPLE = '''"""A module.

def not_code():
"""
import os  # <module>

class Outer:
    """Its text."""

    value = 1  # Outer

    def method(
        self,
    ) -> None:
        text = """
def not_code_either():
"""
        print(text)  # Outer.method

        async def inner() -> None:
            if text:
                pass  # Outer.method.<locals>.inner

        return inner  # Outer.method

    class Nested:
        def method(self) -> None:
            # a comment
    # less indented comment
            return None  # Outer.Nested.method

VALUE = [
    os,  # <module>
]

def function() -> None: pass  # function
'''


class SourcesTests(SynchronousTestCase):
    """tracemalloc tells file and line only; a profile has names."""

    def test_names(self) -> None:
        """A line has the qualified name of the innermost function or class around it."""
        path = Path(self.mktemp())
        path.write_text(EXAMPLE)
        found = Sources()
        checked = 0
        for number, line in enumerate(EXAMPLE.splitlines(), 1):
            if name := re.search(r"  # (\S+)$", line):
                self.assertEqual(found.frame(str(path), number).function, f"{path}.{name[1]}")
                checked += 1
        self.assertEqual(checked, 8)

    def test_module(self) -> None:
        """A file that is a module gives its name, as in the other profiles, and where the function begins."""
        code = Sources.frame.__code__
        frame = Sources().frame(code.co_filename, code.co_firstlineno + 5)
        self.assertEqual(frame.function, f"{sources.__name__}.{Sources.frame.__qualname__}")
        self.assertEqual(frame.first_line, code.co_firstlineno)

    def test_no_file(self) -> None:
        """A place without a file keeps what is known."""
        frame = Sources().frame("<frozen importlib>", 12)
        self.assertEqual((frame.function, frame.line), ("<frozen importlib>:12", 12))

    def test_no_python(self) -> None:
        """So does a file that is no Python source."""
        path = Path(self.mktemp())
        path.write_bytes(b"\x00\xff\xfe\n" * 3)
        self.assertEqual(Sources().frame(str(path), 2).function, f"{path}:2")

    def test_generated(self) -> None:
        """Code that was generated is found where tracebacks find it."""
        linecache.cache["<generated>"] = 20, None, ["def made():\n", "    pass\n"], "<generated>"
        self.addCleanup(linecache.cache.pop, "<generated>")
        self.assertEqual(Sources().frame("<generated>", 2).function, "<generated>.made")

    def test_bounded(self) -> None:
        """Very many files are not all read."""
        self.patch(sources, "MAX_FILES", 1)
        self.assertGreater(MAX_FILES, 1000)
        found = Sources()
        found.frame("<other>", 1)
        self.assertEqual(found.frame(sources.__file__, 60).function, f"{sources.__name__}:60")
