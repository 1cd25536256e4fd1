"""What can be wrong in a configuration, said so that it can be mended without looking anything up."""

import difflib
from collections.abc import Iterable

import attrs


@attrs.frozen
class Mistake:
    """One thing that is wrong: where it stands, the key, what is wrong and what is allowed."""

    where: str
    key: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.problem) if part)


class ConfigError(Exception):
    """The configuration has mistakes; `mistakes` names all of them, its text has one line for each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the known word nearest to an unknown one: the same key elsewhere, else similar spelling."""
    candidates = list(known)
    name = word.rpartition(".")[2]
    same = [one for one in candidates if one.rpartition(".")[2] == name]
    close = (
        same
        or difflib.get_close_matches(word, candidates, n=1)
        or [one for one in candidates if difflib.get_close_matches(name, [one.rpartition(".")[2]], n=1, cutoff=0.8)]
    )
    return f", did you mean {close[0]}?" if close else ""
