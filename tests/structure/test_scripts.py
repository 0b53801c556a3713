"""The scripts that `make` sets up with, on machines that have less than it needs."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path):
    """A folder of programs, the whole PATH of a machine."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sh", "dirname", "env"):
        (programs / name).symlink_to(f"/bin/{name}" if Path(f"/bin/{name}").exists() else f"/usr/bin/{name}")

    def python(name, *, new_enough):
        """One that says what it is asked for, and makes a folder for a virtual environment."""
        script = f'#!/bin/sh\ncase "$*" in\n--version) echo "Python 3.x" ;;\n*version_info*) exit {0 if new_enough else 1} ;;\n'
        script += f'*venv*) exec {sys.executable} -c "import os, sys; os.makedirs(sys.argv[1])" "$4" ;;\nesac\n'
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)

    return python


def new_venv(tmp_path, wanted):
    return subprocess.run(
        ["/bin/sh", ROOT / "scripts" / "new-venv", wanted, tmp_path / "venv"],
        env=os.environ | {"PATH": str(tmp_path / "programs")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_make_serve_tells_a_port_that_is_taken_by_its_own_name_before_it_indexes(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "ml_api.settings"],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "ML_API_PORT": str(port), "ML_API_METRICS_PORT": str(port), "ML_API_CORPUS": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert result.returncode == 2
    told = result.stderr.splitlines()
    assert [line.partition(": ")[2].partition(":")[0] for line in told] == ["CORPUS", "PORT", "METRICS_PORT"]
    assert f"port {port} of 127.0.0.1 is in use" in told[1]
    recipe = (ROOT / "Makefile").read_text().partition("\nserve: ")[2].partition("\n\n")[0]
    assert re.findall(r"-m (ml_api\S*(?: \w+)?)", recipe) == ["ml_api.settings", "ml_api sync", "ml_api serve"]


def test_the_python_that_was_asked_for_is_taken(machine, tmp_path):
    machine("python3", new_enough=True)
    result = new_venv(tmp_path, "python3")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "venv").is_dir()


def test_a_newer_one_is_taken_for_one_that_is_too_old_and_told(machine, tmp_path):
    machine("python3", new_enough=False)
    machine("python3.12", new_enough=True)
    result = new_venv(tmp_path, "python3")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "python3 is not one of 3.11 to 3.13, or not there: python3.12 is taken in its place\n"


@pytest.mark.parametrize(("version", "fits"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 9), True), ((3, 14, 0), False)])
def test_the_versions_that_fit_are_those_that_are_named(version, fits):
    [condition] = re.findall(r"sys\.exit\((.*)\)'", (ROOT / "scripts" / "new-venv").read_text())
    code = f"import sys; sys.version_info = {version}; sys.exit({condition})"
    assert (subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0) is fits
    assert 'requires-python = ">=3.11,<3.14"' in (ROOT / "pyproject.toml").read_text()


def test_what_is_there_and_what_is_needed_is_told(machine, tmp_path):
    machine("python3", new_enough=False)
    result = new_venv(tmp_path, "python3")
    assert result.returncode == 2
    assert result.stderr.startswith("error: python3 is Python 3.x, and no Python 3.11 to 3.13 is on the PATH; name one: ")
