"""A real systemd runs the unit: ready, reload, watchdog and stop, behind the wall around the service."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.monitoring.documents import ETC
from tests.monitoring.stage import SOURCES

SYSTEMD: Final = Path("/lib/systemd/systemd")
_REPLACED: Final = re.compile(
    # The account is missing here, the directories are elsewhere, what PrivateTmp and ProtectHome hide may be where
    # these tests are, and a container lets nobody mount anything over /proc. A shorter time makes a shorter test.
    r"^(?:User|Group|StateDirectory|StateDirectoryMode|ConfigurationDirectory|WorkingDirectory|Environment|PrivateTmp"
    r"|PrivateUsers|ProtectHome|ProtectKernelLogs|ProtectKernelTunables|WatchdogSec|ExecStart|StandardOutput"
    r"|StandardError|RestartSec)=.*\n",
    re.MULTILINE,
)
_CONFIG: Final = """
[server]
interface = "127.0.0.1"
tcp_port = 0
http_port = 0
[monitoring]
metrics_port = 0
profiling_port = 0
"""
_SCRIPT: Final = """
mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system || exit 77
for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e $tree/cgroup.procs ] || continue
    mkdir $tree/{name} && echo $$ > $tree/{name}/cgroup.procs || exit 77
    trees="$trees $tree"
done
export XDG_RUNTIME_DIR={root}/run HOME={root} SYSTEMD_UNIT_PATH={root}/units:/usr/lib/systemd/user
export SYSTEMD_LOG_TARGET=console DBUS_SESSION_BUS_ADDRESS=
{systemd} --user > {root}/manager 2>&1 &
manager=$!
for _ in $(seq 100); do [ -S {root}/run/systemd/private ] && break; sleep 0.1; done
ctl() {{ timeout 30 systemctl --user "$@"; }}
ask() {{ ctl show -p "$1" --value superchat; }}
ctl start superchat && echo started || ctl status superchat
echo "status: $(ask StatusText)"
mv {root}/data/superchat/server.log {root}/data/superchat/server.log.moved
ctl reload superchat && echo reloaded
for _ in $(seq 100); do [ -s {root}/data/superchat/server.log ] && break; sleep 0.1; done
grep -o 'Logs reopened' {root}/data/superchat/server.log
sleep 7
echo "fed: $(ask NRestarts) $(ask ActiveState) [$(ask WatchdogTimestamp)]"
pid=$(ask MainPID)
[ "$pid" -gt 1 ] && kill -STOP "$pid"
for _ in $(seq 200); do [ "$(ask NRestarts) $(ask ActiveState)" = "1 active" ] && break; sleep 0.1; done
echo "stuck: $(ask NRestarts) $(ask ActiveState)"
ctl stop superchat && echo "stopped: $(ask Result)"
kill $manager; wait $manager
for tree in $trees; do
    echo $$ > $tree/cgroup.procs
    find $tree/{name} -depth -type d -exec rmdir {{}} + 2>/dev/null
done
exit 0
"""


class UnitTests(SynchronousTestCase):
    """The unit that we ship, in a manager of its own, where the machine allows one."""

    def setUp(self) -> None:
        """A place for everything, with a short path for its sockets."""
        if not SYSTEMD.exists() or os.getuid() or not shutil.which("unshare"):
            raise SkipTest("needs root, systemd (Debian: systemd) and unshare")
        self.root = Path(tempfile.mkdtemp(prefix="superchat-unit-"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        for name in ("run", "units", "data/superchat"):
            (self.root / name).mkdir(parents=True)

    def write_unit(self) -> None:
        """The unit, with what cannot be the same here replaced."""
        unit = _REPLACED.sub("", (ETC / "systemd" / "superchat.service").read_text())
        config = self.root / "superchat.toml"
        config.write_text(_CONFIG)
        here = (
            f"ExecStart={sys.executable} -m superchat.tools.scd --config {config}\n"
            f"Environment=XDG_DATA_HOME={self.root / 'data'} PYTHONPATH={SOURCES} PYTHONDONTWRITEBYTECODE=1\n"
            f"ReadWritePaths={self.root}\nWatchdogSec=5\nRestartSec=0.1\n"
        )
        (self.root / "units" / "superchat.service").write_text(unit.replace("[Service]\n", f"[Service]\n{here}"))

    def test_life(self) -> None:
        """It is ready when it serves; a reload reopens the logs; a stuck reactor is restarted; the stop is clean."""
        self.write_unit()
        script = _SCRIPT.format(root=self.root, systemd=SYSTEMD, name=f"superchat-test-{os.getpid()}")
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
            capture_output=True,
            text=True,
            timeout=120,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": ""},
        )
        manager = self.root / "manager"
        said = manager.read_text() if manager.exists() else ""
        if done.returncode == 77 or "unshare failed" in done.stderr or not (self.root / "run" / "systemd").exists():
            raise SkipTest(f"systemd cannot run here: {(done.stderr + said).strip()[-200:]}")
        self.assertRegex(
            done.stdout,
            r"\Astarted\nstatus: 0 sessions\nreloaded\nLogs reopened\nfed: 0 active \[.+\]\nstuck: 1 active\n"
            r"stopped: success\n\Z",
            f"{done.stdout}{done.stderr}{said}",
        )
