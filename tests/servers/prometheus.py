"""A real Prometheus for tests, on a free port, over a configuration of ours; gone at the end.

`make test` installs Debian's packages; without them the tests fail with the package's name.
"""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from monitoring.local.configuration import localised, write
from monitoring.local.daemons import find, prometheus
from monitoring.local.launcher import free_port
from tests.waiting import PATIENCE_S, wait_until


class Prometheus:
    """One that runs, asked through its API."""

    def __init__(self, url):
        self.url = url

    def api(self, path, **parameters):
        """The data of an answer of /api/v1/`path`; fails if it is not a success."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression, **parameters):
        """The result of an instant query: a list of {"metric": labels, "value": [time, text]}."""
        return self.api("query", query=expression, **parameters)["result"]

    def query_range(self, expression, start, end, step):
        return self.api("query_range", query=expression, start=start, end=end, step=step)["result"]

    def wait_for(self, expression, timeout_s=PATIENCE_S):
        """The result of `expression` as soon as there is any."""
        return wait_until(lambda: self.query(expression), timeout_s, f"{expression} has no result")

    def wait_for_targets(self, timeout_s=PATIENCE_S):
        """Until every target has been scraped with success."""

        def all_up():
            targets = self.api("targets")["activeTargets"]
            return targets if targets and all(target["health"] == "up" for target in targets) else None

        return wait_until(all_up, timeout_s, "not every target is up")


class PrometheusServer(Prometheus):
    """Scrapes `targets`, job name of prometheus/prometheus.yml -> host:port, every `interval`. Use as a context.

    Its own address is among the targets, under the job `prometheus`. `changes` takes the configuration, as plain data, before
    Prometheus does: for shorter windows, other rule files. What it logs is at the end of an error, and in `daemon.log`.
    """

    def __init__(self, folder, targets, *, interval="1s", changes=lambda configuration: None):
        port = free_port()
        configuration = localised({"prometheus": f"127.0.0.1:{port}"} | dict(targets))
        configuration["global"] |= {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
        for job in configuration["scrape_configs"]:
            job.pop("scrape_interval", None)
            job.pop("scrape_timeout", None)
        changes(configuration)
        self.daemon = prometheus(write(configuration, folder / "prometheus.yml"), folder, port)
        super().__init__(self.daemon.url)

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, *exc):
        self.daemon.stop()


def promtool(*arguments, **options):
    """Run promtool to its end. Returns the completed process."""
    program = find("prometheus", "promtool")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False, **options)


def amtool(*arguments, **options):
    """Run amtool to its end. Returns the completed process."""
    program = find("prometheus-alertmanager", "amtool")
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, **options)
