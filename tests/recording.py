"""What a registry says over time, as input series of promtool: rules are then asked about what the service really exports."""

import json
import re
import time

import yaml

from monitoring.local.configuration import PROMETHEUS
from tests.servers.prometheus import promtool

COUNTING = ("counter", "histogram")


class Recording:
    """Snapshots of a registry, one in `step_minutes` of simulated time, which starts at 0; so do timestamps in gauges."""

    def __init__(self, registry, step_minutes=1):
        self._registry = registry
        self._step_s = step_minutes * 60
        self._started_at = time.time()
        self._series = {}
        self._extrapolated = {}
        self._steps = 0

    def hold(self, minutes):
        """For `minutes` the registry says what it says now."""
        self._append(minutes * 60 // self._step_s, self._read(), {})

    def repeat(self, act, minutes):
        """For `minutes`, what `act` does once to counters happens in each step. Gauges say what they say after it."""
        steps = minutes * 60 // self._step_s
        before = self._read()
        act()
        after = self._read()
        growth = {key: value - before.get(key, (0, ""))[0] for key, (value, kind) in after.items() if kind in COUNTING}
        self._append(steps, after, growth)
        for key, once in growth.items():
            self._extrapolated[key] = self._extrapolated.get(key, 0) + once * (steps - 1)

    def firing(self, alerts, folder):
        """Which of `alerts` fire at the end of the recording. Each file of prometheus/rules that has some is judged once."""
        fired = []
        for path, text in _rule_files():
            if here := [rule for rule in alerts if f"alert: {rule['alert']}\n" in text]:
                fired += self._firing(path, text, here, folder)
        return fired

    def _firing(self, rules, text, alerts, folder):
        tests = [{"expr": _alert(rule), "eval_time": f"{self._step_s * (self._steps - 1)}s", "exp_samples": []} for rule in alerts]
        case = {"interval": f"{self._step_s}s", "input_series": list(self._input(text)), "promql_expr_test": tests}
        groups = [group["name"] for group in yaml.safe_load(text)["groups"]]
        file = folder / rules.name
        file.write_text(
            json.dumps(
                {
                    "rule_files": [str(rules)],
                    "evaluation_interval": f"{self._step_s}s",
                    "group_eval_order": groups,
                    "tests": [case],
                }
            )
        )
        done = promtool("test", "rules", file)
        said = done.stdout + done.stderr
        # promtool tells of each expression that has samples, as none is expected.
        assert "SUCCESS" in said or "got:" in said, said
        return [rule for rule in alerts if json.dumps(_alert(rule)) in said]

    def _read(self):
        """By series: its value, and the kind of metric."""
        read = {}
        for family in self._registry.collect():
            for sample in family.samples:
                value = sample.value
                if sample.name.endswith("_timestamp_seconds") and value:
                    value -= self._started_at - self._steps * self._step_s
                read[sample.name, tuple(sorted(sample.labels.items()))] = value, family.type
        return read

    def _append(self, steps, values, growth):
        for key, (value, _) in values.items():
            segments = self._series.setdefault(key, [f"_x{self._steps}"] if self._steps else [])
            segments.append(f"{value + self._extrapolated.get(key, 0):.9g}{growth.get(key, 0):+.9g}x{steps - 1}")
        self._steps += steps

    def _input(self, rules):
        """The series of those metrics that the rules name."""
        for (name, labels), segments in self._series.items():
            if re.search(rf"\b{name}\b", rules):
                every = {"job": "ml-api", "instance": "a", **dict(labels)}
                selector = ", ".join(f"{label}={json.dumps(text)}" for label, text in every.items())
                yield {"series": f"{name}{{{selector}}}", "values": " ".join(segments)}


def _rule_files():
    return [(path, path.read_text()) for path in sorted((PROMETHEUS / "rules").glob("*.yml"))]


def _alert(rule):
    labels = {"alertname": rule["alert"], "alertstate": "firing"} | {k: v for k, v in rule["labels"].items() if k == "window"}
    return f"ALERTS{{{', '.join(f'{name}={json.dumps(value)}' for name, value in labels.items())}}}"
