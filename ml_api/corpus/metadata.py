"""Facts about images, kept beside them: `metadata.jsonl` or `metadata.csv` in the corpus root, joined by `key`."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Metadata:
    """`by_key` maps an image's key to its fields. `problems` says, line by line, what could not be read."""

    by_key: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_metadata(root: Path) -> Metadata:
    """Read the metadata file of a corpus, if it has one. A broken line is reported and never hides the others."""
    by_key: dict[str, Mapping[str, Any]] = {}
    problems: list[str] = []
    for name, rows in (("metadata.jsonl", _jsonl_rows), ("metadata.csv", _csv_rows)):
        path = root / name
        if not path.is_file():
            continue
        for number, row in rows(path):
            if not isinstance(row, dict) or not isinstance(row.get("key"), str):
                problems.append(f'{name}, line {number}: not an object with a "key"')
            else:
                by_key[row["key"]] = {field: value for field, value in row.items() if field != "key"}
    return Metadata(by_key, tuple(problems))


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """Changes when the metadata does, so that a sync notices; empty for none."""
    if not metadata:
        return ""
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:16]


def _jsonl_rows(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    yield number, None


def _csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
        reader = csv.DictReader(lines)
        for row in reader:
            yield reader.line_num, {name: value for name, value in row.items() if name is not None and value is not None}
