"""Peers that mean no good, all in one process of their own: ``python -m tests.faults.bad_peers PORTS``

PORTS is a JSON object with the server's ports: tcp, http, metrics. Each line of standard input is a JSON value: a list
of `Order`s lets peers loose, an empty one ends them all. Each is answered with a line: what the peers did so far.

The process has the lowest priority and bounded rates, so that whoever suffers, suffers by the server.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter

import attrs

from superchat.loadtest.loop import READ, Loop
from tests.faults.bad_kinds import KINDS
from tests.faults.bad_peer import BadPeer, Ground
from tests.faults.ways import WAYS


@attrs.frozen
class Order:
    """Let `peers` of one kind loose, from the address `source`."""

    kind: str
    way: str
    peers: int
    source: str


class Crowd:
    """All bad peers there are at the moment, and the line to whoever ordered them."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._peers: list[BadPeer] = []
        self._received = b""

    def listen(self) -> None:
        """Take orders until their source is closed."""
        self._ground.loop.watch(sys.stdin.fileno(), READ, self._ordered)

    def _ordered(self, events: int) -> None:
        data = os.read(sys.stdin.fileno(), 65_536)
        if not data:
            self._ground.loop.stop()
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._obey([Order(**order) for order in json.loads(line)])
            print(json.dumps(self._ground.done), flush=True)

    def _obey(self, orders: list[Order]) -> None:
        if not orders:
            for peer in self._peers:
                peer.end()
            self._peers = []
        for order in orders:
            kind, way = KINDS[order.kind], WAYS[order.way]
            peers = [kind(self._ground, way, order.source) for _ in range(order.peers)]
            self._peers += peers
            for peer in peers:
                peer.begin()


def main(ports: str, seed: str) -> None:
    """Do as told."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    ground = Ground(Loop(), json.loads(ports), Counter(), random.Random(int(seed)))
    Crowd(ground).listen()
    ground.loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
