"""Every client message by every role, on both storages: who is answered what, and that no refusal leaves a trace."""

from __future__ import annotations

from superchat.wire.messages import FROM_CLIENT
from tests.rights.cases import CASES, Case
from tests.rights.stage import ROLES, StageTestCase


class MatrixTests(StageTestCase):
    """The table of `cases` on the storage in memory."""

    def test_complete(self) -> None:
        """Every message a client may send has at least one case, and every case a column for each role."""
        self.assertEqual({case.make(self.stage).NAME for case in CASES}, {kind.NAME for kind in FROM_CLIENT.values()})
        for case in CASES:
            self.assertEqual(len(case.outcomes), len(ROLES) - 1, case.name)


class MatrixOnDiskTests(StageTestCase):
    """The table of `cases` on SQLite."""

    on_disk = True


def _add_tests(case: Case) -> None:
    def test(self: StageTestCase) -> None:
        expected = (*case.outcomes, "closed")
        found = []
        before = self.contents()
        for role in ROLES:
            outcome = self.outcome(role, case.make(self.stage), *case.answers)
            found.append(outcome)
            if outcome == "!" or outcome.isdigit():
                self.assertEqual(self.contents(), before, f"{role} was refused, and left a trace")
            elif role != ROLES[-1]:
                self.tearDown()
                self.setUp()
                before = self.contents()
        self.assertEqual(dict(zip(ROLES, found, strict=True)), dict(zip(ROLES, expected, strict=True)))

    test.__doc__ = f"Only who may {case.name} does, and everybody else is told so (decisions 3.1)."
    for tests in (MatrixTests, MatrixOnDiskTests):
        setattr(tests, f"test_{case.name.replace(' ', '_').replace(',', '')}", test)


for _case in CASES:
    _add_tests(_case)
