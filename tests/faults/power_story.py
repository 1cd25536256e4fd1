"""The story of a database whose power is cut: servers that are written down, and a look at what each cut leaves."""

from __future__ import annotations

import random
import shutil
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.trial.unittest import SynchronousTestCase

from superchat.wire import messages as wire
from tests.e2e import peers
from tests.e2e.server import Place, RunningServer, new_place
from tests.faults.authors import Author
from tests.faults.cast import CONFIG, Company, admit, company
from tests.faults.hasty import HastyPlace
from tests.faults.ledger import Ledger, Post
from tests.faults.past import add_old_threads, make_with_first_schema
from tests.faults.power_cuts import DATABASE, NEWEST, SEEDS, Cut, Inquest, choose, differences, expose, images
from tests.faults.power_disk import Image
from tests.faults.power_journal import Record, records
from tests.faults.power_restore import Restored, restore
from tests.faults.power_run import DATA, Chapter, Recording
from tests.faults.shown import Visit
from tests.faults.stored import read

VISIT_SECONDS: Final = 0.4
"""How long visitors stay with a server whose beginning is what matters."""
MOST_WRONG: Final = 20
"""Of so much the rest is not worth the time."""


@attrs.frozen
class Plan:
    """How much is to be done in a story; the rest is up to chance."""

    seconds: float = 5.0
    """How long everybody works with a server."""
    cuts: int = 1000
    """How often the power of such a server is cut; with 0, there is none."""
    early_cuts: int = 200
    """The same of a server whose beginning is what matters."""
    starts: int = 3
    """On how many of the images of each a server is started."""
    again: bool = True
    """Whether one of the images is worked with, and the power cut, once more."""


@attrs.define
class Outcome:
    """What has come of stories."""

    acknowledged: int = 0
    cuts: int = 0
    starts: int = 0
    wrong: list[str] = attrs.field(factory=list)

    def add(self, other: Outcome) -> None:
        """Count another story in."""
        self.acknowledged += other.acknowledged
        self.cuts += other.cuts
        self.starts += other.starts
        self.wrong += other.wrong

    def __str__(self) -> str:
        return (
            f"{self.cuts} power cuts, {self.starts} servers started on what they left, {self.acknowledged} "
            f"acknowledgements, {len(self.wrong)} wrong"
        )


class Story:
    """One database from its first day on. `case` owns the processes; files that are wrong are put into `keep`.

    The seed decides what people do and where the power is cut, but not how fast the machine is.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        reactor: Any,
        plan: Plan,
        seed: int,
        keep: Path,
        progress: Callable[[Outcome], object] = lambda outcome: None,
    ) -> None:
        self.outcome = Outcome()
        self._case = case
        self._reactor = reactor
        self._plan = plan
        self._seed = seed
        self._keep = keep
        self._progress = progress
        self._rng = random.Random(seed)
        self._folder = Path(case.mktemp()).absolute()
        self._folder.mkdir(parents=True)
        case.addCleanup(shutil.rmtree, self._folder)
        self._recording = Recording(case, new_place(case), self._folder, CONFIG)

    async def play(self, beginning: str) -> Outcome:
        """Let it all happen, and look at what it leaves behind; `beginning` is one of `BEGINNINGS`."""
        await BEGINNINGS[beginning](self)
        self.outcome.acknowledged = self._recording.ledger.number_told()
        return self.outcome

    # How it begins

    async def begin(self) -> None:
        """The first start of all, then work for everybody."""
        await self._visit()
        self._examine(self._plan.early_cuts)
        await self._go_on()

    async def begin_with_first_schema(self) -> None:
        """The start that makes a database of the first release its own, then work for everybody."""
        make_with_first_schema(self._recording.place.database, self._recording.ledger)
        await self._visit()
        self._examine(self._plan.early_cuts, version=1)
        await self._go_on()

    async def begin_with_old_threads(self) -> None:
        """Work while much is removed that is due to be, and the space given back."""
        recording = self._recording
        recording.place = HastyPlace(recording.place.root)
        admit(recording.place.database, recording.ledger)
        add_old_threads(recording.place.database, recording.ledger)
        await self._work(backups=0)
        self._examine(self._plan.early_cuts)

    async def begin_with_restore(self) -> None:
        """A backup that is put in the place of a database."""
        await restore(self._recording)
        restored = Restored(self._recording.chapters[-1].ended_at)
        self._cut(self._plan.cuts, restored.complaints, starts=0)

    async def _go_on(self) -> None:
        if not self._plan.cuts or self.outcome.wrong:
            return
        admit(self._recording.place.database, self._recording.ledger)
        await self._work(backups=1)
        left = self._examine(self._plan.cuts)
        if self._plan.again and left is not None and not self.outcome.wrong:
            self._go_back(left)
            await self._work(backups=0)
            self._examine(self._plan.cuts)

    async def _visit(self) -> None:
        """Start a server, and let a few visitors say something."""
        recording = self._recording
        visitors = [Author(self._reactor, recording.ledger, self._own_random()) for _ in range(2)]
        await recording.work(self._reactor, recording.start(), Company(visitors), VISIT_SECONDS, 0)

    async def _work(self, backups: int) -> None:
        recording = self._recording
        people = company(self._reactor, recording.ledger, self._own_random())
        await recording.work(self._reactor, recording.start(), people, self._plan.seconds, backups)

    def _go_back(self, cut: Cut) -> None:
        """Have the recorded place be as a cut had left it, and its clients know no more than they did then."""
        recording = self._recording
        shutil.rmtree(recording.place.root / DATA)
        shutil.move(self._folder / "left" / DATA, recording.place.root / DATA)
        ledger = recording.ledger.as_of(cut.position)
        ledger.recent = deque((post for post in ledger.told_posts() if _is_there(post, ledger)), ledger.recent.maxlen)
        recording.ledger = ledger

    # Looking at what is left

    def _examine(self, number: int, version: int = NEWEST) -> Cut | None:
        """Cut the power that often in the life that has ended of a server, which had found a schema of that `version`.

        Returns one of the cuts; what it has left is in the folder "left".
        """
        recording = self._recording
        inquest = Inquest(recording.chapters[-1], recording.ledger, read(recording.place.database), version)
        return self._cut(number, inquest.complaints, self._plan.starts)

    def _cut(self, number: int, complaints: Callable[[Cut, Path], Iterable[str]], starts: int) -> Cut | None:
        """The same with any idea of what is wrong; on some of what is left a server is started, too."""
        chapter = self._recording.chapters[-1]
        made = self._records(chapter)
        cuts = choose(made, chapter.before, number, self._own_random())
        started = set(self._rng.sample(range(number), min(starts, number)))
        left = None
        for count, (cut, image) in enumerate(images(chapter.before, made, cuts)):
            root = self._folder / "image"
            expose(image, root)
            self._note(cut, [*complaints(cut, root)], image)
            if count in started and not self.outcome.wrong:
                self._note(cut, self._start(root, self._recording.ledger.as_of(cut.position)), image)
                left = cut
                shutil.rmtree(self._folder / "left", ignore_errors=True)
                expose(image, self._folder / "left")
            shutil.rmtree(root)
            self.outcome.cuts += 1
            self._progress(self.outcome)
            if len(self.outcome.wrong) >= MOST_WRONG:
                return None
        self._check_journal(chapter)
        return left

    def _records(self, chapter: Chapter) -> list[Record]:
        in_time = takewhile(lambda record: record.end <= chapter.ended_at, records(self._recording.journal))
        return [record for record in in_time if record.end > chapter.began_at]

    def _check_journal(self, chapter: Chapter) -> None:
        """All that was done is in the journal; else nothing would be proved."""
        found = differences(chapter.before, chapter.after)
        self.outcome.wrong += [f"seed {self._seed}, the journal is not whole: {each}" for each in found]

    def _start(self, root: Path, ledger: Ledger) -> list[str]:
        """Start a server on an image, and see whether it shows what is there."""
        self.outcome.starts += 1
        stored = read(root / DATABASE) if (root / DATABASE).exists() else None
        server = RunningServer(self._case, CONFIG, place=Place(root))
        if stored is not None and stored.accounts:
            found = Visit(self._case, server, stored, ledger, self._rng).complaints()
        else:
            found = self._seeds_missing(server)
        server.kill()
        return found

    def _seeds_missing(self, server: RunningServer) -> list[str]:
        client = peers.connect(self._case, server)
        channels = client.ask(wire.ListChannels(from_channel_id=0, limit=0), wire.ChannelList).channels
        client.close()
        missing = SEEDS - {channel.name for channel in channels}
        return [f"a server has no channels {sorted(missing)}"] if missing else []

    def _note(self, cut: Cut, wrong: Sequence[str], image: Image) -> None:
        """Keep what is wrong, and the files that it is about."""
        self.outcome.wrong += [f"seed {self._seed}, {cut}: {text[:600]}" for text in wrong]
        kept = self._keep / f"{self._seed}-{cut.position}"
        if wrong and not kept.exists():
            expose(image, kept)

    def _own_random(self) -> random.Random:
        """Random numbers for one purpose, whatever others draw."""
        return random.Random(self._rng.getrandbits(64))


def _is_there(post: Post, ledger: Ledger) -> bool:
    """Whether anybody may reply to an acknowledged message."""
    return post.channel_id not in ledger.private and post.channel_id not in ledger.doomed


BEGINNINGS: Final[Mapping[str, Callable[[Story], Awaitable[None]]]] = {
    "first start": Story.begin,
    "old threads": Story.begin_with_old_threads,
    "first schema": Story.begin_with_first_schema,
    "restore": Story.begin_with_restore,
}
