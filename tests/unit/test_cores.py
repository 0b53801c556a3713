"""Where the number of cores comes from."""

from math import inf

import pytest

from ml_api.cores import allowed, usable


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


def test_there_is_at_least_one_core():
    assert usable() >= 1
