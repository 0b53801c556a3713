"""The rules of prometheus/rules with their windows and waits shortened, so that a test need not last for hours."""

import re

import yaml

from monitoring.local.configuration import PROMETHEUS

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SHORTEST_RANGE_S = 5
"""Holds enough samples of one scrape a second to make a rate of."""


def shortened_rules(folder, factor):
    """Writes them to a folder of their own. Returns the pattern of its files."""
    target = folder / "rules"
    target.mkdir()
    for path in (PROMETHEUS / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                rule["expr"] = re.sub(
                    r"(?<=\[)\d+[smhd](?=\])", lambda found: _shorter(found[0], factor, SHORTEST_RANGE_S), rule["expr"]
                )
                rule["expr"] = re.sub(r"(?<=offset )\d+[smhd]", lambda found: _shorter(found[0], factor, 1), rule["expr"])
                if "for" in rule:
                    rule["for"] = _shorter(rule["for"], factor, 1)
        (target / path.name).write_text(yaml.safe_dump(rules, sort_keys=False))
    return str(target / "*.yml")


def _shorter(duration, factor, least_s):
    return f"{max(least_s, round(int(duration[:-1]) * SECONDS[duration[-1]] / factor))}s"
