"""Write every dashboard to `grafana/dashboards/`."""

import json
from collections.abc import Iterator
from pathlib import Path

from grafana.source import corpus, endpoints, infrastructure, model, monitoring, overview, store
from grafana.source.dashboard import Dashboard

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS: tuple[Dashboard, ...] = tuple(
    module.DASHBOARD for module in (overview, endpoints, model, store, corpus, infrastructure, monitoring)
)


def files() -> Iterator[tuple[Path, str]]:
    """Where each dashboard belongs, and its JSON."""
    for dashboard in DASHBOARDS:
        yield FOLDER / f"{dashboard.name}.json", json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, content in files():
        path.write_text(content, encoding="utf-8")
