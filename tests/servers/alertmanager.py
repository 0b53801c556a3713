"""A real Alertmanager for tests, over prometheus/alertmanager.yml, that waits for nothing before it speaks; and what it said."""

import json
import queue
import urllib.request

import yaml

from monitoring.local.configuration import notifying, write
from monitoring.local.daemons import alertmanager
from monitoring.local.launcher import free_port
from monitoring.local.notifications import Webhook


class AlertmanagerServer:
    """Use as a context. `said` is a queue of (receiver, message), as the webhook got them."""

    def __init__(self, folder):
        self.said = queue.SimpleQueue()
        self._webhook = Webhook(lambda receiver, message: self.said.put((receiver, message)))
        configuration = yaml.safe_load(notifying(self._webhook.url))
        for route in (configuration["route"], *configuration["route"]["routes"]):
            route |= {"group_wait": "0s", "group_interval": "1s"}
        self.daemon = alertmanager(write(configuration, folder / "alertmanager.yml"), folder, free_port())

    def __enter__(self):
        self._webhook.__enter__()
        self.daemon.start()
        return self

    def __exit__(self, *exc):
        self.daemon.stop()
        self._webhook.__exit__(*exc)

    def fire(self, **labels):
        body = json.dumps([{"labels": labels, "annotations": {"summary": "something is wrong", "runbook_url": "x.md"}}]).encode()
        request = urllib.request.Request(f"{self.daemon.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=60).close()

    def states(self):
        """Every alert's name and instance -> its state, as Alertmanager tells it."""
        with urllib.request.urlopen(f"{self.daemon.url}/api/v2/alerts", timeout=60) as answer:
            alerts = json.load(answer)
        return {(alert["labels"]["alertname"], alert["labels"]["instance"]): alert["status"]["state"] for alert in alerts}
