"""The smoke check against stand-ins: a `docker` on the PATH, and HTTP servers in place of the API, Grafana and Kibana."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_http import FakeServer

ROOT = Path(__file__).parents[3]
SERVICES = ["api", "grafana", "kibana", "elasticsearch", "kibana-setup"]
DASHBOARDS = [json.loads(path.read_text())["uid"] for path in (ROOT / "grafana" / "dashboards").glob("*.json")]


class World:
    """What the stack says of itself; tests change it to break something."""

    def __init__(self):
        self.containers = {name: {"State": "running", "Health": "healthy", "ExitCode": 0} for name in SERVICES}
        self.containers["kibana-setup"] = {"State": "exited", "Health": "", "ExitCode": 0}
        self.targets = [{"labels": {"job": "ml-api"}, "health": "up", "lastError": ""}]
        self.dashboards = list(DASHBOARDS)
        self.pages = True
        self.api_status = 200
        self.logged = True

    def docker(self, folder):
        """A program `docker` that answers the questions of the smoke check from files."""
        ps = "\n".join(json.dumps({"Service": name, **state}) for name, state in self.containers.items())
        hits = [{"_index": ".ds-logs-ml_api-default-2026.11.21-000001"}] if self.logged else []
        answers = {
            "config": "\n".join(SERVICES),
            "ps": ps,
            "prometheus": json.dumps({"data": {"activeTargets": self.targets}}),
            "elasticsearch": json.dumps({"hits": {"hits": hits}}),
            "up": "",
        }
        for name, text in answers.items():
            (folder / name).write_text(text)
        program = folder / "docker"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {folder}/calls\ncase $2 in exec) cat "{folder}/$4" ;; *) cat "{folder}/$2" ;; esac\n'
        )
        program.chmod(0o755)

    def answer(self, asked):
        if asked.path.startswith("/api/search"):
            return 200, [{"uid": uid} for uid in self.dashboards]
        if asked.path.startswith(("/api/data_views/data_view/ml_api-logs", "/api/dashboards/ml_api-logs")):
            return (200, {}) if self.pages else (404, {})
        return self.api_status, {"name": "demo model"}


@pytest.fixture
def world():
    return World()


def smoke(world, folder, *arguments, **more):
    """The result of the program, and what the servers were asked."""
    world.docker(folder)
    with FakeServer(world.answer) as server:
        ports = {f"{name}_PORT": str(server.port) for name in ("ML_API", "GRAFANA", "KIBANA")}
        passwords = {"GRAFANA_PASSWORD": "grafana-secret", "ELASTIC_PASSWORD": "elastic-secret"}
        result = subprocess.run(
            [sys.executable, "-m", "monitoring.smoke", "--timeout", "0.1", *arguments],
            cwd=ROOT,
            env=os.environ | ports | passwords | {"PATH": f"{folder}:/usr/bin:/bin"} | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return result, server.asked


def test_a_whole_stack_passes(world, tmp_path):
    result, asked = smoke(world, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ok"] * 6
    assert "secret" not in result.stdout
    sent = next(request.headers["X-Request-Id"] for request in asked if "X-Request-Id" in request.headers)
    calls = (tmp_path / "calls").read_text()
    assert f"http.request.id:{sent}" in calls, "another request's line was looked for"
    assert "compose up" not in calls


def test_it_starts_the_stack_only_when_told_to(world, tmp_path):
    smoke(world, tmp_path, "--up")
    assert "compose up --detach" in (tmp_path / "calls").read_text()


BREAKS = {
    "an unhealthy container": (
        lambda world: world.containers["grafana"].update(Health="unhealthy"),
        "FAIL containers: grafana: running unhealthy",
    ),
    "a missing container": (lambda world: world.containers.pop("kibana"), "FAIL containers: kibana: has no container"),
    "a setup that failed": (lambda world: world.containers["kibana-setup"].update(ExitCode=1), "kibana-setup: exited, exit code 1"),
    "a setup that still runs": (lambda world: world.containers["kibana-setup"].update(State="running"), "kibana-setup: running"),
    "a target that is down": (
        lambda world: world.targets.append({"labels": {"job": "milvus"}, "health": "down", "lastError": "no such host"}),
        "FAIL targets: down: milvus (no such host)",
    ),
    "no targets": (lambda world: world.targets.clear(), "FAIL targets: there are no targets"),
    "a missing dashboard": (lambda world: world.dashboards.pop(), "FAIL dashboards: Grafana lacks"),
    "no page in Kibana": (lambda world: setattr(world, "pages", False), "FAIL log pages: Kibana has no"),
    "an API that fails": (lambda world: setattr(world, "api_status", 503), "/v1/model: 503"),
    "a line that does not arrive": (lambda world: setattr(world, "logged", False), "docker compose logs filebeat"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_named(world, tmp_path, what):
    breaks, says = BREAKS[what]
    breaks(world)
    result, _ = smoke(world, tmp_path)
    assert result.returncode == 1
    assert says in result.stdout
    assert result.stdout.count("FAIL") == 1
    assert not result.stderr


def test_without_docker_it_says_so(world, tmp_path):
    result, _ = smoke(world, tmp_path, PATH=str(tmp_path / "nothing"))
    assert result.returncode == 1
    assert "no command `docker`" in result.stdout


def test_without_passwords_it_says_so(world, tmp_path):
    result, _ = smoke(world, tmp_path, GRAFANA_PASSWORD="")
    assert result.returncode == 1
    assert "GRAFANA_PASSWORD not set" in result.stdout
