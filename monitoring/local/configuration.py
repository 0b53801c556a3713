"""prometheus/prometheus.yml with the targets of this machine in place of the containers' names; everything else stays as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROMETHEUS = Path(__file__).parents[2] / "prometheus"


def localised(targets: Mapping[str, str], source: Path = PROMETHEUS / "prometheus.yml") -> dict[str, Any]:
    """The configuration for `targets`, job name -> host:port. Jobs without one are left out, as is an Alertmanager without one.

    Raises ValueError for a job that the configuration does not have.
    """
    configuration: dict[str, Any] = yaml.safe_load(source.read_text())
    jobs = {job["job_name"]: job for job in configuration["scrape_configs"]}
    if unknown := targets.keys() - jobs.keys():
        raise ValueError(f"{source.name} has no job {', '.join(sorted(unknown))}")
    configuration["scrape_configs"] = [_with_target(job, targets[name]) for name, job in jobs.items() if name in targets]
    configuration["rule_files"] = [str(source.parent / pattern) for pattern in configuration.get("rule_files", [])]
    if "alertmanager" in targets:
        for alertmanager in configuration["alerting"]["alertmanagers"]:
            alertmanager["static_configs"] = [{"targets": [targets["alertmanager"]]}]
    else:
        configuration.pop("alerting", None)
    return configuration


def write(configuration: Mapping[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(dict(configuration), sort_keys=False))
    return path


def _with_target(job: dict[str, Any], target: str) -> dict[str, Any]:
    discoveries = {name for name in job if name.endswith("_sd_configs")}
    return {name: value for name, value in job.items() if name not in discoveries} | {"static_configs": [{"targets": [target]}]}
