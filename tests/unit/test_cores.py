"""What OpenMP is told before torch loads, and where the number of cores comes from."""

import subprocess
import sys
from math import inf

import pytest

from ml_api.cores import allowed, configure_openmp, usable


@pytest.fixture
def group(tmp_path):
    """Makes a control group at a path below the root, this process a member of it; returns what it may use."""

    def make(path, **quotas):
        membership = tmp_path / "membership"
        membership.write_text(f"1:cpu:/old\n0::/{path}\n")
        root = tmp_path / "cgroup"
        (root / path).mkdir(parents=True)
        for name, quota in quotas.items():
            folder = next(folder for folder in (root, *(root / path).parents, root / path) if folder.name == name)
            (folder / "cpu.max").write_text(quota + "\n")
        return allowed(root, membership)

    return make


def test_without_a_quota_all_cores_may_be_used(group):
    assert group("") == inf


def test_unlimited_is_unlimited(group):
    assert group("service", service="max 100000") == inf


def test_a_containers_quota_counts(group):
    assert group("", cgroup="150000 100000") == 1.5


def test_the_tightest_quota_on_the_way_up_counts(group):
    assert group("slice/service", slice="200000 100000", service="300000 100000") == 2


def test_where_there_are_no_control_groups_there_is_no_quota(tmp_path):
    assert allowed(tmp_path, tmp_path / "missing") == inf


def test_threads_hardly_spin_while_they_wait():
    environ = {}
    configure_openmp(environ, usable=8)

    assert (environ["OMP_WAIT_POLICY"], environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "1000")


def test_a_pass_takes_all_cores():
    environ = {}
    configure_openmp(environ, usable=3)

    assert environ["OMP_NUM_THREADS"] == "3"


def test_what_the_operator_has_set_stands():
    chosen = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "6", "GOMP_SPINCOUNT": "5"}
    environ = dict(chosen)
    configure_openmp(environ, usable=2)

    assert environ == chosen


def test_there_is_at_least_one_core():
    assert usable() >= 1


def test_torch_hears_what_was_said_before_it_was_loaded():
    program = (
        "import os; from ml_api.cores import configure_openmp; configure_openmp(os.environ, usable=2);"
        "import torch; print(torch.get_num_threads())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)

    assert ran.stdout.strip() == "2"
