"""The stack as seen from its Docker host: `docker compose`, and the three services that it publishes."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from monitoring.client import Client, Failure, NotYet

ROOT: Final = Path(__file__).parents[2]
COMMAND_TIMEOUT_S: Final = 120
UP_TIMEOUT_S: Final = 3600
"""Downloads some gigabytes of images and builds ours."""


@dataclass(frozen=True, slots=True)
class Stack:
    api: Client
    grafana: Client
    kibana: Client
    request_id: str
    """Of the one request that is made here, and looked for in the logs."""

    @classmethod
    def here(cls) -> "Stack":
        """The stack that .env of this checkout describes; variables of the environment win, as they do for compose."""
        settings = _dotenv(ROOT / ".env") | os.environ
        host = settings.get("BIND_ADDRESS") or "127.0.0.1"
        host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, not bound
        url = {name: f"http://{host}:{settings.get(f'{name}_PORT') or port}" for name, port in _PORTS.items()}
        missing = [name for name in ("GRAFANA_PASSWORD", "ELASTIC_PASSWORD") if not settings.get(name)]
        if missing:
            raise Failure(f"{' and '.join(missing)} not set: neither in .env nor in the environment")
        return cls(
            api=Client(url["ML_API"]),
            grafana=Client(url["GRAFANA"], "admin", settings["GRAFANA_PASSWORD"]),
            kibana=Client(url["KIBANA"], "elastic", settings["ELASTIC_PASSWORD"]),
            request_id=f"smoke-{uuid4().hex}",
        )

    def compose(self, *arguments: str) -> str:
        """Output of a `docker compose` command. Raises Failure with what it says, NotYet if a container cannot be asked yet."""
        command = ["docker", "compose", *arguments]
        limit_s = UP_TIMEOUT_S if arguments[0] == "up" else COMMAND_TIMEOUT_S
        try:
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False)  # noqa: S603 - ours
        except FileNotFoundError:
            raise Failure("there is no command `docker` on this machine") from None
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(command)}: no end after {limit_s} s") from None
        if done.returncode:
            kind = NotYet if arguments[0] == "exec" else Failure
            raise kind(f"{' '.join(command)}: {done.stderr.strip()[-1000:]}")
        return done.stdout

    def ask(self, service: str, *command: str) -> Any:
        """JSON that a command inside a running service's container prints: the way to what is not published."""
        output = self.compose("exec", "-T", service, *command)
        try:
            return json.loads(output)
        except ValueError:
            raise NotYet(f"{service} answers {output[:200]!r}") from None


_PORTS: Final = {"ML_API": 8420, "GRAFANA": 3000, "KIBANA": 5601}


def _dotenv(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, _, value in pairs}
