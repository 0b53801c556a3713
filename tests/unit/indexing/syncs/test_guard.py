"""Syncs that look like an accident stop before they change anything."""

import shutil

import pytest

from ml_api.errors import StoreUnavailable, SyncRefused
from ml_api.indexing.tasks import BATCH
from tests.unit.indexing.syncs.world import DyingStore


def test_an_empty_folder_does_not_empty_the_store_by_accident(world):
    world.draw("a.png").rename(world.root.parent / "kept.png")
    shutil.copy(world.root.parent / "kept.png", world.root / "a.png")
    world.sync()
    (world.root / "a.png").unlink()
    with pytest.raises(SyncRefused, match="--allow-empty"):
        world.sync()
    assert world.outcomes(empty=True) == {"removed": 1}
    assert world.stored() == {}


class TestGuard:
    @pytest.fixture
    def filled(self, world):
        for number in range(60):
            world.draw(f"{number // 30}/{number:02}.png", (number, 1, 2))
        world.sync()
        return world

    def lose(self, world, number):
        for path in sorted(world.root.rglob("*.png"))[:number]:
            path.unlink()

    def test_removing_more_than_a_fifth_stops_with_the_plan_and_the_way_on(self, filled):
        self.lose(filled, 30)
        filled.draw("new.png", (1, 2, 3))
        with pytest.raises(SyncRefused) as raised:
            filled.sync()
        assert "30 of the 60 images indexed are no longer in" in raised.value.detail
        assert "(0/ 30)" in raised.value.detail
        assert "add 1, remove 30, keep 30" in raised.value.detail
        assert "--allow-removals" in raised.value.detail
        assert len(filled.stored()) == 60
        assert filled.outcomes(removals=True) == {"added": 1, "removed": 30, "unchanged": 30}

    @pytest.mark.parametrize(("indexed", "lost", "stops"), [(60, 20, False), (60, 21, True), (150, 30, False), (150, 31, True)])
    def test_a_few_and_a_fifth_may_go(self, world, indexed, lost, stops):
        for number in range(indexed):
            world.draw(f"{number:03}.png", (number, 1, 2))
        world.sync()
        self.lose(world, lost)
        if stops:
            with pytest.raises(SyncRefused):
                world.sync()
        else:
            assert world.outcomes()["removed"] == lost

    def test_a_folder_that_is_only_renamed_goes_on(self, filled):
        (filled.root / "0").rename(filled.root / "2024")
        assert filled.outcomes() == {"moved": 30, "unchanged": 30}

    @pytest.fixture
    def doubled(self, world):
        """60 images, a copy of each, which is younger, and 80 others."""
        for number in range(140):
            world.draw(f"{'a' if number < 60 else 'c'}/{number:03}.png", (number, 1, 2))
        shutil.copytree(world.root / "a", world.root / "b", copy_function=shutil.copyfile)
        world.sync()
        return world

    def test_a_renamed_folder_of_which_there_is_a_copy_excuses_no_other_loss(self, doubled):
        (doubled.root / "a").rename(doubled.root / "d")
        shutil.rmtree(doubled.root / "c")
        with pytest.raises(SyncRefused, match=r"^80 of the 200 images indexed are no longer in"):
            doubled.sync()
        assert len(doubled.stored()) == 200

    def test_a_refusal_counts_what_is_stored_twice_among_what_is_missing(self, doubled):
        shutil.rmtree(doubled.root / "a")
        shutil.rmtree(doubled.root / "c")
        with pytest.raises(SyncRefused, match=r"^140 of the 200 images indexed .* remove 140, keep 60"):
            doubled.sync()

    def test_another_folder_stops_with_the_plan_and_the_way_on(self, filled, tmp_path):
        before, filled.root = filled.root, tmp_path / "other"
        filled.draw("0/00.png", (9, 9, 9))
        filled.draw("1.png", (9, 9, 9))
        with pytest.raises(SyncRefused) as raised:
            filled.sync(removals=True, empty=True)
        assert f"the images of {before}, not of {filled.root}" in raised.value.detail
        assert "add 1, read again 1, remove 59" in raised.value.detail
        assert "--replace" in raised.value.detail
        assert len(filled.stored()) == 60
        assert filled.outcomes(replace=True) == {"added": 1, "replaced": 1, "removed": 59}
        assert filled.outcomes() == {"unchanged": 2}, "this is the folder from now on"

    def test_a_folder_that_was_moved_as_it_is_goes_on(self, filled, tmp_path):
        filled.root = filled.root.rename(tmp_path / "moved")
        assert filled.outcomes() == {"unchanged": 60}
        assert filled.store.source() == str(filled.root)

    def test_an_empty_folder_asks_for_a_word_of_its_own(self, filled):
        shutil.rmtree(filled.root)
        filled.root.mkdir()
        (filled.root / "notes.txt").write_text("")
        for consent in ({}, {"removals": True}, {"replace": True}):
            with pytest.raises(SyncRefused, match=r"holds no images \(1 with other endings \(.txt 1\)\), but 60.*--allow-empty"):
                filled.sync(**consent)
        assert filled.outcomes(empty=True) == {"removed": 60}

    def test_an_empty_folder_that_is_another_one_asks_for_both(self, filled, tmp_path):
        filled.root = tmp_path / "other"
        filled.root.mkdir()
        with pytest.raises(SyncRefused, match="--replace"):
            filled.sync(empty=True)
        assert filled.outcomes(empty=True, replace=True) == {"removed": 60}

    def test_a_first_sync_that_died_has_left_where_it_came_from(self, world, tmp_path):
        for number in range(3 * BATCH):
            world.draw(f"{number:03}.png", (number, 0, 0))
        world.use(DyingStore())
        with pytest.raises(StoreUnavailable):
            world.sync()
        world.root = tmp_path / "other"
        world.draw("a.png")
        with pytest.raises(SyncRefused, match="--replace"):
            world.sync()
