"""A report in a file names every file, whatever its name."""

import json
from contextlib import closing

from ml_api.indexing.report import FileOutcome, JsonLines
from ml_api.vocabulary import ReasonCode, SyncOutcome


def test_a_file_is_a_line_of_json(tmp_path):
    path = tmp_path / "report.jsonl"
    files = [
        FileOutcome("né\n.jpg", SyncOutcome.FAILED, ReasonCode.IMAGE_DAMAGED, "It is damaged."),
        FileOutcome("new.png", SyncOutcome.MOVED, reason="was old.png"),
    ]
    with closing(JsonLines(path)) as report:
        report.write(files)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"key": "né\n.jpg", "outcome": "failed", "code": "image-damaged", "reason": "It is damaged."},
        {"key": "new.png", "outcome": "moved", "code": "", "reason": "was old.png"},
    ]
