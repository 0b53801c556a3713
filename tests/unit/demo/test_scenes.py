"""Scenes: the same seed gives the same picture, and everything in the catalogue can be drawn."""

from random import Random

import numpy as np
import pytest

from demo.backdrops import SETTINGS
from demo.palette import PAINTS
from demo.scenes import Group, Scene, Stream, draw, imagine, layout
from demo.things import KINDS, sticker


def scenes(count: int, seed: str = "test") -> list[Scene]:
    random = Random(seed)
    return [imagine(random, Stream.CORPUS) for _ in range(count)]


def test_the_same_seed_imagines_the_same_scenes():
    assert scenes(50) == scenes(50)
    assert scenes(50) != scenes(50, "another")


def test_a_scene_is_drawn_alike_every_time():
    scene = scenes(1)[0]
    assert draw(scene, 64).tobytes() == draw(scene, 64).tobytes()


def test_another_seed_places_the_same_facts_differently():
    groups = (Group("dog", "red", 2),)
    one, other = (Scene(groups, "snow", None, seed) for seed in (2, 4))
    assert draw(one, 64).tobytes() != draw(other, 64).tobytes()


def test_the_catalogue_is_as_large_as_promised():
    assert len(KINDS) >= 24
    assert len(PAINTS) == 10
    assert len(SETTINGS) >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_fills_a_good_part_of_its_sticker(kind: str):
    alpha = np.asarray(sticker(kind, "red", 48).getchannel("A"))
    assert 0.15 < (alpha > 128).mean() < 0.9


@pytest.mark.parametrize("colour", PAINTS)
def test_every_colour_changes_the_sticker(colour: str):
    other = "red" if colour != "red" else "blue"
    assert sticker("car", colour, 32).tobytes() != sticker("car", other, 32).tobytes()


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_can_be_drawn_small(setting: str):
    picture = draw(Scene((Group("cat", "white", 1),), setting, None, 6), 32)
    assert (picture.size, picture.mode) == ((32, 32), "RGB")
    assert len(set(picture.get_flattened_data())) > 50


def test_counted_things_stay_in_the_picture_and_apart():
    for scene in scenes(300):
        spots = layout(scene)
        assert len(spots) == sum(group.count for group in scene.groups)
        for i, spot in enumerate(spots):
            assert spot.size >= 18 / 64, "a thing must be large enough for the model's 64 pixels"
            assert 0.4 * spot.size <= spot.x <= 1 - 0.4 * spot.size
            assert 0.4 * spot.size <= spot.y <= 1 - 0.4 * spot.size
            for other in spots[i + 1 :]:
                apart = max(abs(spot.x - other.x), abs(spot.y - other.y))
                assert apart >= 0.8 * (spot.size + other.size) / 2


def test_above_and_under_say_who_is_drawn_higher():
    for scene in scenes(300):
        if scene.relation in {"above", "under"}:
            heights = {spot.group: spot.y for spot in layout(scene)}
            assert min(heights, key=heights.__getitem__) == scene.upper
        else:
            assert scene.upper is None


def test_facts_survive_the_journey_through_plain_data():
    for scene in scenes(50):
        back = Scene.from_facts(scene.facts())
        assert (back.groups, back.setting, back.relation) == (scene.groups, scene.setting, scene.relation)
