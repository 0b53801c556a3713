"""`python -m monitoring.local`: the service and what watches it, without containers; `make monitor` starts it over the demo.

Settings are the service's own (ML_API_*). ALERT_WEBHOOK_URL takes the alerts elsewhere than to this terminal.
"""

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from ml_api.errors import ConfigError
from ml_api.settings import ENV_FILE, Settings, load_settings
from monitoring.local.configuration import localised, notifying, write
from monitoring.local.daemons import Daemon, MissingProgram, alertmanager, node_exporter, prometheus
from monitoring.local.launcher import ENDING, ServerProcess, StartFailed, free_port, heeded
from monitoring.local.notifications import Webhook, lines

MILVUS_METRICS_PORT = 9091


def main() -> int:
    for number in heeded():
        signal.signal(number, _end)
    try:
        settings = load_settings(env_file=ENV_FILE, command="serve")
        with ExitStack() as stack:
            _start(settings, stack)
            # The service prints its own addresses; when it ends, so does this program.
            service = ServerProcess([sys.executable, "-m", "ml_api", "serve"])
            stack.callback(service.stop)
            service.launch()
            return service.process.wait()
    except ConfigError as exc:
        for problem in exc.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 2
    except (MissingProgram, StartFailed) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _end(*_: object) -> None:
    """Once: what stops everything is not to be interrupted by a second signal."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _start(settings: Settings, stack: ExitStack) -> None:
    """Start what there is on this machine, Prometheus last, and say where it is."""
    folder = settings.data_dir / "monitor"
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port(9090)
    targets = {"ml-api": f"{settings.host}:{settings.metrics_port}", "prometheus": f"127.0.0.1:{port}"}
    if settings.store_uri.startswith("http"):
        targets["milvus"] = f"{urlsplit(settings.store_uri).hostname}:{MILVUS_METRICS_PORT}"
    optional = {"alertmanager": _alertmanager, "node": _node_exporter}
    for job, make in optional.items():
        try:
            daemon = stack.enter_context(make(stack, folder))
        except MissingProgram as exc:
            print(f"Without {job}: {exc}")
            continue
        targets[job] = daemon.url.removeprefix("http://")
        print(f"{job.capitalize():13} {daemon.url}")
    daemon = stack.enter_context(prometheus(write(localised(targets), folder / "prometheus.yml"), folder, port))
    print(f"Prometheus    {daemon.url}/targets, {daemon.url}/alerts; its data and logs are in {folder}", flush=True)


def _alertmanager(stack: ExitStack, folder: Path) -> Daemon:
    webhook = os.environ.get("ALERT_WEBHOOK_URL") or stack.enter_context(Webhook(_print)).url
    configuration = folder / "alertmanager.yml"
    configuration.write_text(notifying(webhook))
    return alertmanager(configuration, folder, free_port(9093))


def _node_exporter(_: ExitStack, folder: Path) -> Daemon:
    return node_exporter(folder, free_port(9100))


def _print(receiver: str, message: dict[str, object]) -> None:
    for line in lines(receiver, message):
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
