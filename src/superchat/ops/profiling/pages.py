"""The index page of /debug/pprof/."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

import attrs

from superchat.ops.profiling.heap import DEFAULT_SECONDS, IDLE_SECONDS, Session
from superchat.ops.profiling.query import MAX_FRAMES, MAX_SECONDS
from superchat.ops.profiling.stalls import ReactorWatch
from superchat.ops.profiling.text import moment


@attrs.frozen
class Link:
    """One line of the index: a name under /debug/pprof/, and what is there."""

    name: str
    parameters: str
    about: str


LINKS: Final = (
    Link("profile", "seconds (30)", "CPU time of all threads, sampled 100 times per second. Costs about 1 %."),
    Link(
        "heap",
        f"seconds, frames (1 to {MAX_FRAMES})",
        f"Memory that was allocated while it was traced, and is in use. The first request traces for {DEFAULT_SECONDS} "
        f"seconds and answers; tracing goes on until nobody asked for {IDLE_SECONDS // 60} minutes, and a second "
        "profile can be compared with the first. With seconds: what grew in that time, and tracing ends after it.",
    ),
    Link(
        "allocs",
        f"seconds ({DEFAULT_SECONDS}), frames (1 to {MAX_FRAMES})",
        "Memory that is allocated in that time and lives for a moment, also if it is freed then. Begins anew what "
        "heap traces.",
    ),
    Link("goroutine", "", "All threads, and all pending coroutines, Deferreds and delayed calls: where, and how many."),
    Link("block", "seconds", "Stalls of the reactor since the start, or in the seconds to come: how long, and where."),
    Link("cmdline", "", "How the server was called."),
)

WARNING: Final = (
    "heap and allocs make the whole server slower while they run: every allocation takes about 4 times as long, and "
    f"20 times with frames={MAX_FRAMES}."
)

_PAGE: Final = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Profiles</title>
<style>body{{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}
td{{padding:.3em .8em;vertical-align:top}} code{{white-space:nowrap}}</style></head><body>
<h1>Profiles</h1>
<table>{rows}</table>
<p>Without <code>format</code> the answer is for <code>go tool pprof</code>. Seconds are whole numbers up to
{max_seconds}, frames up to {max_frames}. One profile of a kind is taken at a time.</p>
<p><strong>{warning}</strong> {tracing}</p>
<p>{stalls}</p>
</body></html>
"""


def index(session: Session | None, watch: ReactorWatch) -> str:
    """The page, with what is being measured at the moment."""
    return _PAGE.format(
        rows="".join(_rows(LINKS)),
        max_seconds=MAX_SECONDS,
        max_frames=MAX_FRAMES,
        warning=escape(WARNING),
        tracing=escape(_tracing(session)),
        stalls=escape(_stalls(watch)),
    )


def _rows(links: Iterable[Link]) -> Iterable[str]:
    for link in links:
        name = escape(link.name)
        formats = "" if name == "cmdline" else " ".join(_formats(name))
        parameters = f"<br><small>{escape(link.parameters)}</small>" if link.parameters else ""
        cells = f'<a href="{name}">{name}</a>{parameters}', formats, escape(link.about)
        yield f"<tr><td>{'</td><td>'.join(cells)}</td></tr>"


def _formats(name: str) -> Iterable[str]:
    labels = {"text": "text", "folded": "folded stacks", "svg": "flame graph"}
    return (f'<a href="{name}?format={form}"><code>{label}</code></a>' for form, label in labels.items())


def _tracing(session: Session | None) -> str:
    if session is None:
        return "Memory is not being traced by this page now."
    frames = "1 frame" if session.frames == 1 else f"{session.frames} frames"
    return f"Memory has been traced with {frames} since {moment(session.since)}."


def _stalls(watch: ReactorWatch) -> str:
    return (
        f"The reactor stalled {watch.stalls} times for more than {watch.threshold_seconds * 1000:g} ms since the "
        f"start, {watch.stalled_seconds:.1f} s together; the latest beat was {watch.last_lag_seconds * 1000:.1f} ms "
        f"late, the latest of all {watch.max_lag_seconds * 1000:.1f} ms."
    )
