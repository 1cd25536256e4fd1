"""What is in etc/, and the files in the guide: each is accepted by the program it is for."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.e2e.server import PATIENCE_SECONDS, free_port
from tests.monitoring.documents import ETC, guide, ours
from tests.monitoring.tools import PATH, needs, output_of

_PANEL_TYPES: Final = frozenset({"barchart", "gauge", "row", "stat", "timeseries"})
"""Those in use, of the types that come with Grafana 10 and later."""
_MOST_EXPOSURE: Final = 2.0
"""Of 10; what systemd calls OK begins below 5."""


class FilesTestCase(SynchronousTestCase):
    """A test with a directory of its own."""

    def setUp(self) -> None:
        """The directory, and the guide."""
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        self.guide = guide()

    def file(self, name: str, text: str) -> Path:
        """A file in the directory."""
        path = self.directory / name
        path.write_text(text)
        return path


class PrometheusTests(FilesTestCase):
    """Scraping, alerts and their unit tests."""

    def setUp(self) -> None:
        """promtool."""
        needs("promtool")
        super().setUp()

    def test_config(self) -> None:
        """prometheus.yml is valid, and so are the rules that it names."""
        said = output_of(["promtool", "check", "config", ETC / "prometheus" / "prometheus.yml"])
        self.assertIn("1 rule files found", said)

    def test_rules(self) -> None:
        """alerts.yml is valid, and the alerts in it are the guide's eight, in their order, and more."""
        said = output_of(["promtool", "check", "rules", ETC / "prometheus" / "alerts.yml"])
        theirs, shipped = (
            self.alerts(self.guide.files["alerts.yml"]),
            self.alerts((ETC / "prometheus" / "alerts.yml").read_text()),
        )
        self.assertEqual([one["alert"] for one in theirs], [one["alert"] for one in shipped[:8]])
        self.assertIn(f"{len(shipped)} rules found", said)
        for one, other in zip(theirs, shipped, strict=False):
            self.assertEqual((one["for"], one["labels"]), (other["for"], other["labels"]), one["alert"])

    def test_rules_of_the_guide(self) -> None:
        """The guide's own alerts are valid as they are."""
        output_of(["promtool", "check", "rules", self.file("alerts.yml", self.guide.files["alerts.yml"])])

    def test_unit_tests(self) -> None:
        """Each alert has a unit test in which it fires, and these pass."""
        file = ETC / "prometheus" / "alerts_test.yml"
        self.assertIn("SUCCESS", output_of(["promtool", "test", "rules", file]))
        fired = {
            check["alertname"]
            for test in yaml.safe_load(file.read_text())["tests"]
            for check in test["alert_rule_test"]
            if check["exp_alerts"]
        }
        shipped = self.alerts((ETC / "prometheus" / "alerts.yml").read_text())
        self.assertEqual({one["alert"] for one in shipped} - fired, set())

    def alerts(self, text: str) -> list[Any]:
        """The alerts of a rules file."""
        return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


class AlertmanagerTests(FilesTestCase):
    """Who hears of an alert."""

    def setUp(self) -> None:
        """amtool."""
        needs("amtool")
        super().setUp()
        self.config = ETC / "alertmanager" / "alertmanager.yml"

    def receivers(self, config: Path, severity: str) -> list[str]:
        """The receivers of an alert of this severity."""
        command = ["amtool", "config", "routes", "test", f"--config.file={config}", f"severity={severity}"]
        return output_of([*command, "alertname=X"]).splitlines()[-1].split(",")

    def test_config(self) -> None:
        """alertmanager.yml is valid, and so is the guide's."""
        self.assertIn("3 receivers", output_of(["amtool", "check-config", self.config]))
        theirs = self.file("config.yml", self.guide.files["alertmanager.yml"])
        self.assertIn("3 receivers", output_of(["amtool", "check-config", theirs]))

    def test_routes(self) -> None:
        """The worse it is, the more receivers hear of it; none of the three is there for nothing."""
        self.assertEqual(self.receivers(self.config, "critical"), ["pagerduty", "slack", "default"])
        self.assertEqual(self.receivers(self.config, "warning"), ["slack", "default"])
        self.assertEqual(self.receivers(self.config, "info"), ["default"])

    def test_every_alert(self) -> None:
        """The severities of our alerts are those that are routed."""
        alerts = (ETC / "prometheus" / "alerts.yml").read_text()
        self.assertEqual(set(re.findall(r"severity: (\w+)", alerts)), {"critical", "warning"})

    def test_no_secrets(self) -> None:
        """Secrets are in files of their own, so that this one can be shown."""
        text = self.config.read_text()
        self.assertNotRegex(text, r"(?m)^\s*(-\s*)?(api_url|service_key|routing_key|\w*password):")


class GrafanaTests(FilesTestCase):
    """The dashboard is complete and can be imported; its queries are asked in `test_queries`."""

    def setUp(self) -> None:
        """The dashboard."""
        super().setUp()
        self.dashboard = json.loads((ETC / "grafana" / "superchat-dashboard.json").read_text())

    def test_importable(self) -> None:
        """It is the model itself, not wrapped for the API, and brings no number of another Grafana's database."""
        self.assertEqual((self.dashboard["title"], self.dashboard["uid"]), ("SuperChat Server Metrics", "superchat"))
        self.assertGreaterEqual(self.dashboard["schemaVersion"], 36)
        self.assertNotIn("id", self.dashboard)
        self.assertNotIn("dashboard", self.dashboard)

    def test_panels(self) -> None:
        """Every panel has a type that exists, a place of its own, and a data source that is found by either way."""
        ids: set[int] = set()
        cells: set[tuple[int, int]] = set()
        for panel in self.dashboard["panels"]:
            self.assertIn(panel["type"], _PANEL_TYPES, panel["title"])
            ids.add(panel["id"])
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24)
            ours = {(x, y) for x in self.span(place, "x", "w") for y in self.span(place, "y", "h")}
            self.assertFalse(ours & cells, panel["title"])
            cells |= ours
            for target in panel.get("targets", []):
                self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${datasource}"})
                self.assertTrue(target["refId"] and target["expr"])
        self.assertEqual(len(ids), len(self.dashboard["panels"]))

    def span(self, place: dict[str, int], start: str, length: str) -> range:
        """The cells a panel takes in one direction."""
        return range(place[start], place[start] + place[length])

    def test_panels_of_the_guide(self) -> None:
        """The guide's eight panels are there, under their names."""
        titles = {panel["title"] for panel in self.dashboard["panels"]}
        theirs = re.findall(r"^Panel: (.+)$", Path(__file__).with_name("guide.txt").read_text(), re.MULTILINE)
        self.assertEqual(len(theirs), 8)
        self.assertEqual(set(theirs) - titles, set())

    def test_provisioning(self) -> None:
        """The data source is Prometheus itself, under the uid that the dashboard starts with."""
        folder = ETC / "grafana" / "provisioning"
        (source,) = yaml.safe_load((folder / "datasources" / "superchat.yml").read_text())["datasources"]
        (variable,) = (one for one in self.dashboard["templating"]["list"] if one["name"] == "datasource")
        self.assertEqual(source["uid"], variable["current"]["value"])
        self.assertEqual((source["type"], source["url"]), ("prometheus", "http://localhost:9091"))
        (provider,) = yaml.safe_load((folder / "dashboards" / "superchat.yml").read_text())["providers"]
        self.assertIn(f"{provider['options']['path']}/superchat-dashboard.json", str(ours("bash")))


class KubernetesTests(FilesTestCase):
    """The deployment."""

    def setUp(self) -> None:
        """The objects, by kind."""
        super().setUp()
        objects = list(yaml.safe_load_all((ETC / "kubernetes" / "superchat.yml").read_text()))
        self.objects = {one["kind"]: one for one in objects}
        self.assertEqual(len(self.objects), len(objects))

    def container(self, pod: Any) -> Any:
        """The one container of a pod."""
        (container,) = pod["spec"]["containers"]
        return container

    def test_schema(self) -> None:
        """Every object is valid, without a field that Kubernetes does not know."""
        for one in self.objects.values():
            kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)

    def test_pod_of_the_guide(self) -> None:
        """The guide's pod is valid once it has the name that it lacks."""
        pod = yaml.safe_load(self.guide.files["pod.yml"])
        pod["metadata"] = {"name": "superchat"}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)

    def test_probes(self) -> None:
        """The probes are the guide's, as often and as late; but what is not alive is asked apart from what is ready."""
        container = self.container(self.objects["Deployment"]["spec"]["template"])
        theirs = self.container(yaml.safe_load(self.guide.files["pod.yml"]))
        for probe in ("livenessProbe", "readinessProbe"):
            for key, value in theirs[probe].items():
                if key != "httpGet":
                    self.assertEqual(container[probe][key], value, f"{probe}.{key}")
        self.assertEqual(container["readinessProbe"]["httpGet"], theirs["readinessProbe"]["httpGet"])
        self.assertEqual(container["livenessProbe"]["httpGet"], {"path": "/livez", "port": 9090})

    def test_metrics_are_not_public(self) -> None:
        """No service has the ports of metrics and profiles, and the network policy has a condition for them."""
        ports = {one["port"] for one in self.objects["Service"]["spec"]["ports"]}
        self.assertEqual(ports, {6465, 8080})
        rules = self.objects["NetworkPolicy"]["spec"]["ingress"]
        for rule in rules:
            if any(one["port"] == 9090 for one in rule["ports"]):
                self.assertIn("from", rule)

    def test_one_replica(self) -> None:
        """There is one server at a time, for the database has one writer."""
        spec = self.objects["Deployment"]["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]["type"]), (1, "Recreate"))


class SystemdTests(FilesTestCase):
    """The unit and the account."""

    def setUp(self) -> None:
        """The unit, with a program that exists in the place of the one that is installed."""
        needs("systemd-analyze")
        super().setUp()
        self.text = (ETC / "systemd" / "superchat.service").read_text()
        self.unit = self.file("superchat.service", self.text.replace("/opt/superchat/bin/scd", "/bin/true"))

    def test_verify(self) -> None:
        """systemd understands every line; before 253 it says that it does not know one, and keeps the one before."""
        version = int(output_of(["systemd-analyze", "--version"]).split()[1])
        said = output_of(["systemd-analyze", "verify", "--man=no", self.unit])
        about_us = [line for line in said.splitlines() if "superchat.service" in line]
        known = [] if version >= 253 else ["Failed to parse service type, ignoring: notify-reload"]
        self.assertEqual(sorted({line.split(": ", 1)[1] for line in about_us}), known)

    def test_exposure(self) -> None:
        """The service may do little more than it must."""
        said = output_of(["systemd-analyze", "security", "--offline=true", "--no-pager", self.unit])
        found = re.search(r"Overall exposure level for superchat.service: ([0-9.]+)", said)
        assert found is not None, said
        self.assertLess(float(found[1]), _MOST_EXPOSURE)

    def test_promises(self) -> None:
        """What the guide and our documents say about the service is what the unit says."""
        settings = dict(re.findall(r"^(\w+)=(.*)$", self.text, re.MULTILINE))
        expected = {
            "Type": "notify-reload",
            "SyslogIdentifier": "scd",
            "StateDirectory": "superchat",
            "Environment": "XDG_DATA_HOME=%S",
            "User": "superchat",
            "WatchdogSec": "30",
            "ExecReload": "/bin/kill -HUP $MAINPID",
        }
        self.assertEqual({key: settings.get(key) for key in expected}, expected)
        account = (ETC / "systemd" / "superchat.sysusers").read_text()
        self.assertRegex(account, r"(?m)^u superchat - .* /var/lib/superchat$")


class SyslogTests(FilesTestCase):
    """Lines on their way to another machine."""

    def setUp(self) -> None:
        """rsyslogd."""
        needs("rsyslogd")
        super().setUp()
        self.rsyslogd = shutil.which("rsyslogd", path=PATH) or ""

    def test_valid(self) -> None:
        """superchat.conf is valid, and so is the guide's line."""
        for text in ((ETC / "rsyslog.d" / "superchat.conf").read_text(), self.guide.files["rsyslog.conf"]):
            output_of([self.rsyslogd, "-N1", "-f", self.file("superchat.conf", text)])

    def test_forwarding(self) -> None:
        """Lines of scd arrive at the other machine, lines of others do not: with ours, and with the guide's."""
        for number, text in enumerate(
            ((ETC / "rsyslog.d" / "superchat.conf").read_text(), self.guide.files["rsyslog.conf"])
        ):
            with socket.create_server(("127.0.0.1", 0)) as remote:
                remote.settimeout(PATIENCE_SECONDS)
                port = remote.getsockname()[1]
                ours = text.replace("remote-syslog-server:514", f"127.0.0.1:{port}").replace(
                    'target="remote-syslog-server" port="514"', f'target="127.0.0.1" port="{port}"'
                )
                self.assertNotEqual(ours, text)
                self.forward(str(number), ours)
                connection, _ = remote.accept()
                with connection:
                    connection.settimeout(PATIENCE_SECONDS)
                    received = b""
                    while b"the last one" not in received:
                        received += connection.recv(4096)
                self.assertIn(b"scd: the first one", received)
                self.assertNotIn(b"somebody else", received)

    def forward(self, name: str, text: str) -> None:
        """Run rsyslogd with these rules, and log to it."""
        listening = free_port()
        config = self.file(
            f"{name}.conf",
            f'global(workDirectory="{self.directory}")\nmodule(load="imudp")\n'
            f'input(type="imudp" address="127.0.0.1" port="{listening}")\n{text}',
        )
        pid = self.directory / f"{name}.pid"
        process = subprocess.Popen([self.rsyslogd, "-n", "-f", config, "-i", pid])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sending:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while f":{listening:04X} " not in Path("/proc/net/udp").read_text() and time.monotonic() < deadline:
                time.sleep(0.02)
            for line in ("scd: the first one", "other: somebody else", "scd: the last one"):
                sending.sendto(f"<14>Oct  8 14:30:15 host {line}".encode(), ("127.0.0.1", listening))


class FilebeatTests(FilesTestCase):
    """The shipper's configuration; there is no Filebeat among Debian's packages that could say more."""

    def setUp(self) -> None:
        """What is shipped, and the guide's."""
        super().setUp()
        self.config = yaml.safe_load((ETC / "filebeat" / "filebeat.yml").read_text())
        self.theirs = yaml.safe_load(self.guide.files["filebeat.yml"])

    def test_same_logs(self) -> None:
        """It ships the guide's logs with the guide's fields into the guide's index, with an input that still exists."""
        (text, _), (theirs,) = self.config["filebeat.inputs"], self.theirs["filebeat.inputs"]
        self.assertEqual((text["paths"], text["fields"]), (theirs["paths"], theirs["fields"]))
        self.assertEqual(self.config["output.elasticsearch"], self.theirs["output.elasticsearch"])
        self.assertEqual({one["type"] for one in self.config["filebeat.inputs"]}, {"filestream"})

    def test_ids(self) -> None:
        """Each input has an id of its own, without which Filebeat reads files anew at every start."""
        ids = [one["id"] for one in self.config["filebeat.inputs"]]
        self.assertEqual(len(set(ids)), 2)

    def test_index(self) -> None:
        """An index of one's own comes with the settings without which Filebeat refuses to start."""
        self.assertTrue(self.config["output.elasticsearch"]["index"].startswith(self.config["setup.template.name"]))
        self.assertEqual(self.config["setup.template.pattern"], "superchat-*")
        self.assertIs(self.config["setup.ilm.enabled"], False)

    def test_itself(self) -> None:
        """Filebeat finds nothing wrong, where there is one."""
        if shutil.which("filebeat") is None:
            raise SkipTest("needs filebeat, which is not in Debian")
        output_of(["filebeat", "test", "config", "-c", ETC / "filebeat" / "filebeat.yml"])


class ShellTests(FilesTestCase):
    """The shell in scripts and documents."""

    def setUp(self) -> None:
        """shellcheck."""
        needs("shellcheck")
        super().setUp()

    def test_scripts(self) -> None:
        """The health check, ours and the guide's, has no mistakes that can be found by reading."""
        output_of(["shellcheck", ETC / "healthcheck.sh"])
        output_of(["shellcheck", self.file("healthcheck.sh", self.guide.files["healthcheck.sh"])])

    def test_documents(self) -> None:
        """Neither have the blocks in docs/monitoring.md."""
        for block in ours("sh", "bash"):
            path = self.file("block.sh", f"#!/bin/bash\n{block.text}")
            output_of(["shellcheck", "--severity=warning", path])
