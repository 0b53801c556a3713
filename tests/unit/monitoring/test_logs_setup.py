"""The one-shot setup, as a process, against a real HTTP server that keeps what Elasticsearch and Kibana would keep."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_http import FakeServer

ROOT = Path(__file__).parents[3]
PASSWORDS = {
    "ELASTIC_PASSWORD": "superuser-secret",
    "KIBANA_SYSTEM_PASSWORD": "kibana-secret",
    "ELASTICSEARCH_SHIPPER_PASSWORD": "shipper-secret",
    "ELASTICSEARCH_READER_PASSWORD": "reader-secret",
}
STREAM = "/_data_stream/logs-ml_api-default"
VIEW = "/api/data_views/data_view"


class Keeping:
    """What both programs do here: keep an object under its path, and know it only once it was made."""

    def __init__(self):
        self.kept = {}
        self.refuses = {}
        """Path to the statuses it answers with first, one at a time."""

    def __call__(self, asked):
        if self.refuses.get(asked.path):
            return self.refuses[asked.path].pop(0), {"error": "as the test wants it"}
        if asked.path.startswith(("/_cluster/health", "/api/status")):
            return 200, {}
        if asked.method == "GET":
            return (200, self.kept[asked.path]) if asked.path in self.kept else (404, {})
        body = asked.get_json(silent=True)
        path = f"{VIEW}/{body['data_view']['id']}" if asked.path == VIEW else asked.path
        if asked.method == "PUT" and path == STREAM and path in self.kept:
            return 400, {"error": "resource_already_exists_exception"}
        self.kept[path] = body
        return 200, {}


@pytest.fixture
def keeping():
    return Keeping()


@pytest.fixture
def server(keeping):
    with FakeServer(keeping) as server:
        yield server


def set_up(what, url, **more):
    """The result of the program."""
    own = {name: value for name, value in os.environ.items() if name not in PASSWORDS}
    address = {"ELASTICSEARCH_URL": url, "KIBANA_URL": url, "SETUP_TIMEOUT_S": "20"}
    return subprocess.run(
        [sys.executable, "-m", "monitoring.logs_setup", what],
        cwd=ROOT,
        env=own | PASSWORDS | address | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def done(what, url):
    result = set_up(what, url)
    assert result.returncode == 0, result.stderr
    return result


def authorization(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_elasticsearch_gets_users_roles_the_template_and_the_data_stream(server, keeping):
    done("elasticsearch", server.url)
    template = json.loads((ROOT / "monitoring/elasticsearch/index-template.json").read_text())
    assert keeping.kept["/_index_template/logs-ml_api"] == template
    assert keeping.kept["/_security/user/kibana_system/_password"] == {"password": "kibana-secret"}
    assert keeping.kept["/_security/user/ml_api_shipper"] == {"password": "shipper-secret", "roles": ["ml_api_shipper"]}
    assert keeping.kept["/_security/user/ml_api_reader"] == {"password": "reader-secret", "roles": ["ml_api_reader"]}
    assert {"/_security/role/ml_api_shipper", "/_security/role/ml_api_reader", STREAM} <= keeping.kept.keys()
    assert {asked.headers["Authorization"] for asked in server.asked} == {authorization("elastic", "superuser-secret")}


def test_the_template_stands_before_the_data_stream_is_made(server):
    done("elasticsearch", server.url)
    order = [path for _, path in server.changes()]
    assert order.index("/_index_template/logs-ml_api") < order.index(STREAM)


def test_elasticsearch_can_be_set_up_again(server, keeping):
    done("elasticsearch", server.url)
    before = dict(keeping.kept)
    server.clear_log()
    done("elasticsearch", server.url)
    assert ("PUT", STREAM) not in server.changes()
    assert {path: keeping.kept[path] for path in before} == before
    template = keeping.kept["/_index_template/logs-ml_api"]["template"]
    assert keeping.kept["/logs-ml_api-default/_mapping"] == template["mappings"]
    assert keeping.kept[f"{STREAM}/_lifecycle"] == {"data_retention": "14d"}
    assert ("POST", "/logs-ml_api-default/_rollover") not in server.changes()


def test_a_mapping_that_the_index_cannot_take_over_begins_a_new_index(server, keeping):
    done("elasticsearch", server.url)
    keeping.refuses["/logs-ml_api-default/_mapping"] = [400]
    done("elasticsearch", server.url)
    assert ("POST", "/logs-ml_api-default/_rollover") in server.changes()


@pytest.mark.parametrize("times", [1, 2])
def test_kibana_gets_the_data_view_and_the_dashboard(server, keeping, times):
    for _ in range(times):
        done("kibana", server.url)
    view = json.loads((ROOT / "monitoring/kibana/data-view.json").read_text())
    kept = keeping.kept[f"{VIEW}/ml_api-logs"]["data_view"]
    assert {name: kept[name] for name in view} == view
    assert keeping.kept["/api/dashboards/ml_api-logs"] == json.loads((ROOT / "monitoring/kibana/dashboard.json").read_text())
    created = server.changes().count(("POST", VIEW))
    assert created == 1, "the data view was made anew, and what somebody changed in it is lost"
    writing = [asked for asked in server.asked if asked.method != "GET"]
    assert all(asked.headers.get("Kbn-Xsrf") == "true" for asked in writing), "Kibana refuses changes without this header"


def test_it_waits_for_a_program_that_is_still_starting(server, keeping):
    keeping.refuses["/api/status"] = [503, 503]
    done("kibana", server.url)
    assert sum(asked.path == "/api/status" for asked in server.asked) == 3


def test_it_gives_up_after_a_time_and_says_on_what(server):
    result = set_up("elasticsearch", "http://127.0.0.1:1", SETUP_TIMEOUT_S="0.1")
    assert result.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_refusal_is_shown_and_not_tried_again(server, keeping):
    keeping.refuses["/_index_template/logs-ml_api"] = [400]
    result = set_up("elasticsearch", server.url)
    assert result.returncode == 1
    assert "/_index_template/logs-ml_api: 400" in result.stderr
    assert "as the test wants it" in result.stderr
    assert server.changes().count(("PUT", "/_index_template/logs-ml_api")) == 1


@pytest.mark.parametrize("name", PASSWORDS)
def test_a_password_that_is_missing_is_named(server, name):
    result = set_up("elasticsearch", server.url, **{name: ""})
    assert result.returncode == 1
    assert name in result.stderr
    assert not server.asked


def test_no_password_is_printed(server, keeping):
    keeping.refuses["/_security/user/ml_api_shipper"] = [400]
    for result in (set_up("elasticsearch", server.url), done("kibana", server.url)):
        assert not [secret for secret in PASSWORDS.values() if secret in result.stdout + result.stderr]
