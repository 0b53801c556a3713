"""What is imported stands in the requirements, and what stands there is imported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPTRY = (sys.executable, "-m", "deptry")
"""The program beside Python names the folder into which it was installed, and fails once that has moved."""


def deptry(*arguments):
    return subprocess.run([*DEPTRY, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_requirements_and_imports_of_what_users_run_agree():
    result = deptry("ml_api", "demo", "grafana", "monitoring")
    assert result.returncode == 0, result.stderr


def test_what_tests_and_benchmarks_import_is_required(tmp_path):
    """Not the other way round: nobody imports a linter."""
    (tmp_path / "deptry.toml").touch()  # in place of pyproject.toml, from which deptry would take users' requirements
    result = deptry(
        *("tests", "benchmarks", "--exclude", "__pycache__", "--config", str(tmp_path / "deptry.toml")),
        *("--requirements-files", "requirements-dev.txt,requirements-bench.txt", "--ignore", "DEP002"),
        *(
            word
            for name in ("ml_api", "ml_api_client", "scripts", "demo", "grafana", "monitoring", "tests", "benchmarks")
            for word in ("--known-first-party", name)
        ),
        *("--per-rule-ignores", "DEP001=triton_python_backend_utils|image_search"),
    )
    assert result.returncode == 0, result.stderr


def pins(name):
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [line.partition("==")[0] for line in lines if "==" in line]


def test_a_version_is_pinned_in_one_place():
    names = [name for file in [*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"] for name in pins(file.name)]
    assert sorted(names) == sorted(set(names))
