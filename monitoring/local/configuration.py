"""The configuration in prometheus/, with this machine's addresses in place of the containers' names; all else stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

PROMETHEUS: Final = Path(__file__).parents[2] / "prometheus"
WEBHOOK: Final = "http://localhost:9094"
"""In alertmanager.yml, what the address of a webhook takes the place of."""


def localised(targets: Mapping[str, str]) -> dict[str, Any]:
    """prometheus.yml for `targets`, job name -> host:port. Jobs without one are left out, as is an Alertmanager without one.

    Raises ValueError for a job that the configuration does not have.
    """
    source = PROMETHEUS / "prometheus.yml"
    configuration: dict[str, Any] = yaml.safe_load(source.read_text())
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    if unknown := targets.keys() - jobs.keys():
        raise ValueError(f"{source.name} has no job {', '.join(sorted(unknown))}")
    configuration["scrape_configs"] = [_with_target(job, targets[name]) for name, job in jobs.items() if name in targets]
    configuration["rule_files"] = [str(source.parent / pattern) for pattern in configuration["rule_files"]]
    if "alertmanager" in targets:
        for alertmanager in configuration["alerting"]["alertmanagers"]:
            alertmanager["static_configs"] = [{"targets": [targets["alertmanager"]]}]
    else:
        del configuration["alerting"]
    return configuration


def write(configuration: Mapping[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(dict(configuration), sort_keys=False))
    return path


def notifying(webhook: str) -> str:
    """alertmanager.yml with the address of a webhook, to which `/page`, `/ticket` and `/watchdog` are added."""
    return (PROMETHEUS / "alertmanager.yml").read_text().replace(WEBHOOK, webhook)


def _with_target(job: dict[str, Any], target: str) -> dict[str, Any]:
    discoveries = {name for name in job if name.endswith("_sd_configs")}
    return {name: value for name, value in job.items() if name not in discoveries} | {"static_configs": [{"targets": [target]}]}
