"""Everything that is kept, tried again: what has failed once must never fail again."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import corpus
from tests.fuzz.loop import run_once
from tests.fuzz.talks import play
from tests.fuzz.talks.garbage import only_new_garbage
from tests.fuzz.targets import TARGETS

MOST_FILES = 200
MOST_BYTES = 300_000


class CorpusTests(SynchronousTestCase):
    """The files under tests/fuzz/corpus."""

    def test_inputs(self) -> None:
        """No input that is kept breaks a promise."""
        for name, target in TARGETS.items():
            for path in corpus.paths(name):
                with self.subTest(path=path.name):
                    run_once(target, path.read_bytes())

    def test_talks(self) -> None:
        """No talk that is kept breaks a promise."""
        with only_new_garbage():
            for path in corpus.paths(play.NAME):
                with self.subTest(path=path.name):
                    play.replay(path.read_bytes())

    def test_sizes(self) -> None:
        """There is something for every target, and all of it is small enough to be kept with the source."""
        kept = {name: corpus.load(name) for name in (*TARGETS, play.NAME)}
        self.assertEqual([name for name, inputs in kept.items() if not inputs], [])
        self.assertLessEqual(sum(map(len, kept.values())), MOST_FILES)
        self.assertLessEqual(sum(len(data) for inputs in kept.values() for data in inputs), MOST_BYTES)

    def test_nothing_else(self) -> None:
        """Every folder is a target's."""
        folders = {path.name for path in corpus.FOLDER.iterdir() if path.is_dir()}
        self.assertEqual(folders, {*TARGETS, play.NAME})
