"""kill -9 in the middle: a rerun leaves what an uninterrupted run leaves. benchmarks/kills has more ways, and does it often."""

import random

import pytest

from benchmarks.kills.__main__ import WAYS
from benchmarks.kills.ground import Ground

SEED = 20261128


@pytest.mark.parametrize("way", ["extract-numpy", "import"])
def test_what_is_killed_and_run_again_is_whole(way, tmp_path):
    WAYS[way](Ground(tmp_path, random.Random(SEED), images=120, rows=3000), 1)
