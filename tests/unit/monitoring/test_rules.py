"""Rules and configuration, judged by promtool."""

from pathlib import Path

import pytest

from tests.servers.prometheus import promtool

PROMETHEUS = Path(__file__).parents[3] / "prometheus"
CASES = sorted((PROMETHEUS / "tests").glob("*.yml"))


def test_prometheus_accepts_the_configuration_and_every_rule():
    result = promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_rules_do_what_their_unit_tests_say(case):
    result = promtool("test", "rules", case)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_rule_file_has_unit_tests():
    tested = {path.name for path in CASES}
    assert {path.name for path in (PROMETHEUS / "rules").glob("*.yml")} <= tested
