"""A world for each test."""

import pytest

from tests.unit.indexing.changes.world import World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for consumer in world.consumers:
        consumer.close()
    world.database.close()
