"""The data view and the dashboard of the logs, by Kibana's public APIs (the Dashboards API is generally available from 9.5 on)."""

import json
from pathlib import Path
from typing import Any, Final

from monitoring.client import Client, patiently

FILES: Final = Path(__file__).parents[1] / "kibana"
ID: Final = "ml_api-logs"
"""Of the data view and of the dashboard."""


def set_up(client: Client, timeout_s: float) -> None:
    """Raises Failure with the reason. Safe to run again: both objects are found by their id, and equal the files afterwards."""
    patiently(lambda: client.call("GET", "/api/status"), timeout_s)
    data_view = _file("data-view.json")
    if client.call("GET", f"/api/data_views/data_view/{ID}", accept=(200, 404)).status == 404:
        _write(client, "POST", "/api/data_views/data_view", {"data_view": {"id": ID, **data_view}})
    else:
        _write(client, "POST", f"/api/data_views/data_view/{ID}", {"data_view": data_view})
    _write(client, "PUT", f"/api/dashboards/{ID}", _file("dashboard.json"))


def _write(client: Client, method: str, path: str, body: Any) -> None:
    client.call(method, path, body, accept=(200, 201), kbn_xsrf="true", elastic_api_version="2023-10-31")


def _file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FILES / name).read_text())
    return content
