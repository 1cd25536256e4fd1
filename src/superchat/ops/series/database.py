"""The metrics of the storage and its disk, of the log files, and of the canary."""

from __future__ import annotations

from collections.abc import Iterator

from superchat.ops.measurements import Measurements
from superchat.ops.series.families import Family, counter, gauge, gauges, histogram
from superchat.storage.interface import IStorage, Statistics


def families(storage: IStorage, measurements: Measurements) -> Iterator[Family]:
    """Everything about the database; its size is known only once it was measured."""
    statistics: Statistics = storage.statistics()
    yield counter("superchat_database_commits_total", "Transactions committed.", statistics.commits)
    yield counter(
        "superchat_database_operations_total", "Operations that these transactions held.", statistics.operations
    )
    yield histogram(
        "superchat_database_commit_duration_seconds",
        "Time from the begin of a transaction until it was on stable storage.",
        statistics.commit_seconds,
    )
    yield histogram(
        "superchat_database_commit_operations", "Operations that share a transaction.", statistics.commit_operations
    )
    yield gauge(
        "superchat_database_pending_operations", "Operations that wait for their commit now.", statistics.pending
    )
    yield from _sizes(measurements)


def _sizes(measurements: Measurements) -> Iterator[Family]:
    size, free = measurements.size, measurements.free_disk_bytes
    if size is not None:
        yield gauge(
            "superchat_database_size_bytes", "The database file and its write-ahead log on disk.", size.file_bytes
        )
        yield gauges(
            "superchat_database_rows",
            "Rows by table, deleted messages included; counted every minute or less often.",
            "table",
            {"channel": size.channels, "message": size.messages},
        )
    if free is not None:
        yield gauge("superchat_disk_free_bytes", "What may still be written to the database's disk.", free)
