"""The compose files: valid, complete, closed to the outside, and in step with the files and settings that they name."""

import graphlib
import json
import re
import subprocess
import sys
from pathlib import Path

import check_jsonschema
import pytest
import yaml
from jsonschema import Draft202012Validator

from ml_api.settings import Settings, environment_name

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "docker-compose.minimal.yml", ROOT / "docker-compose.yml"]
SPECIFICATION = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::?[-?][^}]*)?\}")
PUBLISHED = {"api", "api-gpu", "grafana", "kibana"}
ONE_SHOTS = {"sync", "draw-demo", "triton-repository", "elasticsearch-setup", "kibana-setup"}
HOST_PATHS = {"/", "/sys", "/var/lib/docker", "/var/lib/docker/containers", "/var/run/docker.sock"}
WRITABLE = {
    "milvus": "keeps temporary files beside its programs",
    "elasticsearch": "its start makes the keystore in the configuration folder",
    "kibana": "its start writes into its own folders",
    "dcgm-exporter": "its start writes into its own folders",
}
"""Services whose root file system cannot be read-only, and why."""


def load(path):
    return yaml.safe_load(path.read_text())


def merged():
    """All services of the whole stack: docker-compose.yml includes the minimal file."""
    minimal, full = (load(path) for path in FILES)
    assert full["include"] == ["docker-compose.minimal.yml"]
    return minimal["services"] | full["services"]


SERVICES = merged()
services = pytest.mark.parametrize("name", sorted(SERVICES))
files = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def dependencies(service):
    found = service.get("depends_on", {})
    assert isinstance(found, dict), "say what is waited for"
    return found


@files
def test_it_is_valid_by_the_compose_specification(path):
    validator = Draft202012Validator(json.loads(SPECIFICATION.read_text()))
    assert not [f"{error.json_path}: {error.message}" for error in validator.iter_errors(load(path))]


def test_the_specification_refuses_what_is_wrong():
    broken = load(FILES[1]) | {"services": {"api": {"image": "x", "helthcheck": {}}}}
    assert list(Draft202012Validator(json.loads(SPECIFICATION.read_text())).iter_errors(broken))


def test_the_start_order_has_no_circle_and_every_condition_can_come_true():
    order = {name: set(dependencies(service)) for name, service in SERVICES.items()}
    assert set(graphlib.TopologicalSorter(order).static_order()) == SERVICES.keys(), (
        "something depends on a service that is not there"
    )
    for name, service in SERVICES.items():
        for other, how in dependencies(service).items():
            if how["condition"] == "service_healthy":
                assert "test" in SERVICES[other].get("healthcheck", {}), f"{name} waits for {other}, which has no healthcheck"
            else:
                assert how["condition"] == "service_completed_successfully", f"{name} does not wait until {other} is of use"
                assert other in ONE_SHOTS


@services
def test_a_service_that_runs_is_checked_limited_restarted_and_its_log_rotated(name):
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
    assert service["restart"] in ({"no", "on-failure:3"} if name in ONE_SHOTS else {"unless-stopped"})
    if name not in ONE_SHOTS | {"api", "api-gpu"}:  # the API's stands in its image
        assert service["healthcheck"]["test"][0].startswith("CMD")


@services
def test_a_service_has_no_more_rights_than_it_needs(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")
    assert service.get("cap_add", []) == (["SYS_ADMIN"] if name == "dcgm-exporter" else [])
    assert service.get("read_only", False) is (name not in WRITABLE), WRITABLE.get(name)


@services
def test_an_image_is_pinned_to_a_version(name):
    image = SERVICES[name]["image"]
    if image.startswith("ml-api:"):
        assert SERVICES[name]["build"]["dockerfile"] == "ml_api/Dockerfile"
    else:
        assert re.search(r":v?\d+\.\d+(\.\d+)?[\w.-]*$", image), image


def test_only_what_people_use_is_published_and_not_to_the_network():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports.keys() == PUBLISHED
    assert all(port.startswith("${BIND_ADDRESS:-127.0.0.1}:") for some in ports.values() for port in some)


@services
def test_a_mount_is_a_file_of_ours_a_named_volume_or_a_known_part_of_the_host(name):
    volumes = {**load(FILES[0])["volumes"], **load(FILES[1])["volumes"]}
    for mount in SERVICES[name].get("volumes", []):
        source, rest = mount.replace("${ML_API_CORPUS:-demo-corpus}", "demo-corpus").split(":", 1)
        if source.startswith("./"):
            assert (ROOT / source).exists(), f"{name} mounts {source}, which is not in the repository"
            assert rest.endswith(":ro")
        elif source.startswith("/"):
            assert source in HOST_PATHS
            assert ":ro" in rest
        else:
            assert source in volumes


def test_there_is_no_password_and_no_default_for_one():
    for path in FILES:
        text = path.read_text()
        for match in VARIABLE.finditer(text):
            if match[1].endswith(("_PASSWORD", "_KEY")):
                assert "-" not in match[0].removeprefix("${" + match[1]).split("?")[0], f"{match[0]} has a default"
        required = {match[1] for match in VARIABLE.finditer(text) if ":?" in match[0]}
        secret = {match[1] for match in VARIABLE.finditer(text) if match[1].endswith(("_PASSWORD", "_KEY"))}
        assert secret == required
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable.upper() or "TOKEN" in variable or variable.endswith("KEY"):
                assert "${" in str(value), f"{name}: {variable} is written out"


def example():
    """Variables of .env.example, name -> value; those that are commented out too."""
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))


def test_the_example_environment_has_every_variable_and_no_other():
    used = {match[1] for path in FILES for match in VARIABLE.finditer(path.read_text())}
    assert example().keys() - {"COMPOSE_PROFILES"} == used


def test_the_example_environment_shows_the_defaults():
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", "".join(path.read_text() for path in FILES)))
    shown = {name: value for name, value in example().items() if name in defaults}
    assert {name: value for name, value in shown.items() if value != defaults[name]} == {
        "ML_API_CORPUS": "/srv/pictures",
        "ML_API_MODEL": "clip-ViT-B-32",
    }


def test_every_variable_of_the_api_is_a_setting():
    known = {environment_name(field) for field in Settings.model_fields}
    given = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith("ML_API_")}
    in_image = set(re.findall(r"\b(ML_API_[A-Z_]+)=", (ROOT / "ml_api" / "Dockerfile").read_text()))
    in_example = {name for name in example() if name.startswith("ML_API_")}
    assert given
    assert given | in_image | in_example <= known


def test_a_gpu_s_service_takes_the_place_of_a_cpu_s():
    """Under its name, and never beside it: they would take turns."""
    everywhere = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    for name, service in SERVICES.items():
        if name.endswith("-gpu"):
            replaced = name.removesuffix("-gpu")
            assert replaced in service["networks"]["default"]["aliases"]
            assert not {*service.get("profiles", everywhere)} & {*SERVICES[replaced].get("profiles", everywhere)}


def test_setup_programs_are_modules_of_this_repository():
    for name, service in SERVICES.items():
        command = [str(word) for word in (service.get("entrypoint") or service.get("command") or [])]
        if command[:2] == ["python", "-m"]:
            module = ROOT.joinpath(*command[2].split("."))
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), f"{name}: {command[2]}"


def test_what_a_setup_program_imports_is_in_the_plain_image():
    """Its image has Python and nothing else."""
    code = "import sys, monitoring.logs_setup.__main__ as m; print([n for n in sys.modules if n in {'yaml', 'requests', 'ml_api'}])"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_new_env_fills_in_every_password_and_nothing_else(tmp_path):
    (tmp_path / "scripts").mkdir()
    for name in (".env.example", "scripts/new-env"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    command = ["sh", str(tmp_path / "scripts/new-env")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    made = (tmp_path / ".env").read_text()
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", made, re.MULTILINE))
    secrets = {name: value for name, value in given.items() if name.endswith(("_PASSWORD", "_KEY"))}
    assert len(set(secrets.values())) == len(secrets) > 5
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in secrets.values())
    assert re.sub(r"=[0-9a-f]{48}$", "=", made, flags=re.MULTILINE) == (ROOT / ".env.example").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    again = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert again.returncode == 1
    assert (tmp_path / ".env").read_text() == made


def test_every_target_of_prometheus_is_a_service():
    configuration = load(ROOT / "prometheus" / "prometheus.yml")
    names = {"localhost"} | SERVICES.keys()
    for job in configuration["scrape_configs"]:
        hosts = {target.split(":")[0] for some in job.get("static_configs", []) for target in some["targets"]}
        hosts |= {host for some in job.get("dns_sd_configs", []) for host in some["names"]}
        assert hosts, job["job_name"]
        assert hosts <= names, f"{job['job_name']}: no service {hosts - names}"


def test_grafana_finds_what_its_provisioning_names():
    provisioning = ROOT / "grafana" / "provisioning"
    sources = load(provisioning / "datasources" / "datasources.yml")["datasources"]
    assert {source["url"].split("/")[2].split(":")[0] for source in sources} <= SERVICES.keys()
    variables = set(re.findall(r"(?<!\$)\$([A-Z_]+)", json.dumps(sources)))
    assert variables <= SERVICES["grafana"]["environment"].keys()
    (provider,) = load(provisioning / "dashboards" / "dashboards.yml")["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    roles = json.loads((ROOT / "monitoring" / "elasticsearch" / "roles.json").read_text())
    assert {source["basicAuthUser"] for source in sources if "basicAuthUser" in source} <= roles.keys()
