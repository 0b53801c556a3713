"""What has to hold, from the containers to one request's log line. A check returns what it found, or raises Failure."""

import json
from collections.abc import Callable
from typing import Any, Final

from monitoring.client import Failure, NotYet
from monitoring.logs_setup import kibana
from monitoring.smoke.stack import ROOT, Stack

_FINISHES: Final = "-setup"
"""Services whose names end so do their work and end; all others run."""


def containers(stack: Stack) -> str:
    expected = set(stack.compose("config", "--services").split())
    found = {container["Service"]: container for container in _listed(stack.compose("ps", "--all", "--format", "json"))}
    troubles = [
        f"{service}: {trouble}" for service in sorted(expected) if (trouble := _trouble(service, found.get(service))) is not None
    ]
    if troubles:
        raise NotYet("; ".join(troubles))
    return f"containers: {len(expected)} services, all healthy or done"


def targets(stack: Stack) -> str:
    answer = stack.ask("prometheus", "wget", "-q", "-O", "-", "http://localhost:9090/api/v1/targets?state=active")
    active = answer["data"]["activeTargets"]
    down = [
        f"{target['labels']['job']} ({target['lastError'] or target['health']})" for target in active if target["health"] != "up"
    ]
    if down or not active:
        raise NotYet(f"down: {'; '.join(sorted(down))}" if down else "there are no targets")
    return f"Prometheus: {len(active)} targets, all up"


def dashboards(stack: Stack) -> str:
    expected = {json.loads(path.read_text())["uid"] for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    found = {dashboard["uid"] for dashboard in stack.grafana.call("GET", "/api/search?type=dash-db").body}
    if missing := expected - found:
        raise NotYet(f"Grafana lacks {', '.join(sorted(missing))}")
    return f"Grafana: {len(expected)} dashboards"


def log_pages(stack: Stack) -> str:
    for path in (f"/api/data_views/data_view/{kibana.ID}", f"/api/dashboards/{kibana.ID}"):
        if stack.kibana.call("GET", path, accept=(200, 404)).status == 404:
            raise NotYet(f"Kibana has no {path}")
    return "Kibana: the data view and the dashboard of the logs"


def request(stack: Stack) -> str:
    stack.api.call("GET", "/v1/model", accept=(200, 401), X_Request_ID=stack.request_id)  # 401: where API keys are asked for
    return f"API: answered the request {stack.request_id}"


def log_line(stack: Stack) -> str:
    """Looks for the line of the request that `request` made."""
    query = f"http://localhost:9200/logs-ml_api-*/_search?q=http.request.id:{stack.request_id}"
    answer = stack.ask("elasticsearch", "sh", "-c", f'curl -s -u "elastic:$ELASTIC_PASSWORD" "{query}"')
    if "error" in answer:
        raise Failure(f"Elasticsearch refuses the search: {json.dumps(answer['error'])[:500]}")
    hits = answer["hits"]["hits"]
    if not hits:
        raise NotYet(f"Elasticsearch has no line of the request {stack.request_id}: see `docker compose logs filebeat`")
    return f"Elasticsearch: the request's line, in {hits[0]['_index']}"


ALL: Final[tuple[Callable[[Stack], str], ...]] = (containers, targets, dashboards, log_pages, request, log_line)
"""In this order: a later one needs what an earlier one saw."""


def _listed(output: str) -> list[dict[str, Any]]:
    """Compose prints one object a line since 2.21, and an array before."""
    if output.startswith("["):
        array: list[dict[str, Any]] = json.loads(output)
        return array
    return [json.loads(line) for line in output.splitlines()]


def _trouble(service: str, container: dict[str, Any] | None) -> str | None:
    if container is None:
        return "has no container"
    state, health = container["State"], container.get("Health", "")
    if service.endswith(_FINISHES):
        done = state == "exited" and container["ExitCode"] == 0
        return None if done else f"{state}, exit code {container['ExitCode']}: see `docker compose logs {service}`"
    if state != "running" or health not in {"", "healthy"}:
        return f"{state} {health}".strip()
    return None
