"""Users with the least rights, the index template, and the data stream that the shipper writes to."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monitoring.client import Client, patiently

FILES: Final = Path(__file__).parents[1] / "elasticsearch"
DATA_STREAM: Final = "logs-ml_api-default"
TEMPLATE: Final = "logs-ml_api"


@dataclass(frozen=True, slots=True)
class Passwords:
    kibana_system: str
    shipper: str
    reader: str


def set_up(client: Client, passwords: Passwords, timeout_s: float) -> None:
    """Raises Failure with the reason. Safe to run again, and after a change of the template or of a password."""
    patiently(lambda: client.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s"), timeout_s)
    client.call("POST", "/_security/user/kibana_system/_password", {"password": passwords.kibana_system})
    for name, role in _file("roles.json").items():
        client.call("PUT", f"/_security/role/{name}", role)
    for name, password in {"ml_api_shipper": passwords.shipper, "ml_api_reader": passwords.reader}.items():
        client.call("PUT", f"/_security/user/{name}", {"password": password, "roles": [name]})
    template = _file("index-template.json")
    client.call("PUT", f"/_index_template/{TEMPLATE}", template)
    if client.call("GET", f"/_data_stream/{DATA_STREAM}", accept=(200, 404)).status == 404:
        client.call("PUT", f"/_data_stream/{DATA_STREAM}")
    else:
        _bring_up_to_date(client, template["template"])


def _bring_up_to_date(client: Client, template: dict[str, Any]) -> None:
    """A template reaches new indices only. What an index cannot take over, a type that changed, begins with a new one."""
    client.call("PUT", f"/_data_stream/{DATA_STREAM}/_lifecycle", template["lifecycle"])
    if client.call("PUT", f"/{DATA_STREAM}/_mapping", template["mappings"], accept=(200, 400)).status == 400:
        client.call("POST", f"/{DATA_STREAM}/_rollover")


def _file(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FILES / name).read_text())
    return content
