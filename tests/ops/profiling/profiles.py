"""Profiles made by hand."""

from __future__ import annotations

from hypothesis import strategies as st

from superchat.ops.profiling.profile import Frame, Labels, Measure, Profile, Sample, Stack

CPU = (Measure("samples", "count"), Measure("cpu", "nanoseconds"))

MAIN = Frame("server.main", "server.py", 10, 1)
READ = Frame("server.read", "server.py", 25, 20)
WRITE = Frame("server.write", "server.py", 35, 30)


def profile(*samples: Sample, taken_at: float = 1_700_000_000.0, comments: tuple[str, ...] = ()) -> Profile:
    """A CPU profile of two seconds."""
    return Profile(CPU, samples, taken_at, duration_seconds=2.0, period=10_000_000, comments=comments)


def sample(milliseconds: int, *stack: Frame, labels: Labels = ()) -> Sample:
    """A sample for each ten milliseconds that were spent in a stack, innermost frame first."""
    return Sample(stack, (milliseconds // 10, milliseconds * 1_000_000), labels)


texts = st.text(max_size=20)  # all that UTF-8 can encode
int64 = st.integers(-(2**63), 2**63 - 1)
lines = st.integers(0, 2**31)
frames = st.builds(Frame, texts, texts, lines, lines)
stacks: st.SearchStrategy[Stack] = st.lists(frames, min_size=1, max_size=5).map(tuple)
labels: st.SearchStrategy[Labels] = st.dictionaries(texts, texts, max_size=2).map(lambda them: tuple(them.items()))
samples = st.builds(Sample, stacks, st.tuples(int64, int64), labels)
profiles = st.builds(
    Profile,
    st.just(CPU),
    st.lists(samples, max_size=6).map(tuple),
    st.floats(0, 4e9),
    st.floats(0, 1e6),
    st.integers(1, 2**40),
    st.lists(texts, max_size=2).map(tuple),
)
