"""What a sync would do, shown without doing it."""

import json

from ml_api.vocabulary import SyncOutcome


class TestPreview:
    def test_it_tells_what_a_sync_would_do_and_changes_nothing(self, world):
        for number in range(7):
            world.draw(f"old/{number}.png", (number, 30, 30))
        (world.root / "broken.jpg").write_bytes(b"not an image")
        world.sync()
        before = world.stored()
        (world.root / "old").rename(world.root / "new")
        (world.root / "new/0.png").unlink()
        world.draw("fresh.png", (1, 2, 3))
        found = world.preview()
        assert {outcome.value: number for outcome, number in found.counts.items() if number} == {
            "added": 1,
            "moved": 6,
            "removed": 1,
            "failed": 1,
        }
        assert found.examples == {
            SyncOutcome.ADDED: ["fresh.png"],
            SyncOutcome.MOVED: [f"old/{number}.png → new/{number}.png" for number in range(1, 6)],
            SyncOutcome.REMOVED: ["old/0.png"],
            SyncOutcome.FAILED: ["broken.jpg"],
        }
        assert (found.to_read, found.objection) == (7, "")
        assert world.stored() == before
        assert world.outcomes() == {"added": 1, "moved": 6, "removed": 1, "failed": 1}

    def test_it_tells_what_the_guard_would_say(self, world):
        world.draw("a.png")
        world.sync()
        (world.root / "a.png").unlink()
        found = world.preview()
        assert "--allow-empty" in found.objection
        assert any("--allow-empty" in line for line in found.lines())
        assert found.as_json()["refused"] == found.objection
        assert world.preview(empty=True).objection == ""

    def test_it_is_json_and_text(self, world):
        world.draw("a.png")
        (world.root / "notes.txt").write_text("")
        found = world.preview()
        assert json.loads(json.dumps(found.as_json())) == {
            "corpus": str(world.root),
            "counts": {"added": 1, "replaced": 0, "moved": 0, "removed": 0, "unchanged": 0, "unlisted": 0, "failed": 0},
            "examples": {"added": ["a.png"]},
            "to_read": 1,
            "refused": None,
            "passed_over": {"with other endings": 1},
            "not_listed": [],
            "metadata_problems": [],
        }
        assert found.lines() == [
            "added              1   a.png",
            "passed over: 1 with other endings (.txt 1)",
            "1 file would be read; nothing was changed",
        ]

    def test_a_folder_without_images_is_named(self, world):
        assert world.preview().lines()[0] == f"no images in {world.root}"
