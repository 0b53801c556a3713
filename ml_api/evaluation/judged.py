"""Judged queries: what was asked for, and how relevant which images are. From files, or from feedback."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ml_api.errors import InvalidInput
from ml_api.records import image_id, is_image_id

JsonObject = dict[str, Any]
MAX_GRADE: Final = 100
_WHOLE: Final = re.compile(r"-?\d{1,9}", re.ASCII)
LINE: Final = '{"text": "a red car", "key": "cars/1.jpg", "grade": 1}'


@dataclass(slots=True)
class JudgedQuery:
    """`asked` is what `/v1/search` takes, without limit. `grades` are by image id, 0 for what is irrelevant."""

    name: str
    asked: JsonObject
    grades: dict[str, int] = field(default_factory=dict)

    @property
    def has_match(self) -> bool:
        return any(self.grades.values())


def read(path: Path, topics: Path | None = None) -> list[JudgedQuery]:
    """JSON lines, or TREC qrels, whose queries are the lines `ID TAB TEXT` of `topics`. Raises InvalidInput, OSError."""
    texts = None if topics is None else dict(_topics(topics))
    return grouped(_trec(path, texts) if texts is not None else _json_lines(path), str(path))


def grouped(rows: Iterable[tuple[str, JsonObject, str, int]], source: str) -> list[JudgedQuery]:
    """Queries from rows of a name, what the query asks for, an image, and its grade. If an image is judged twice, the last counts.

    Queries without any match say nothing of a ranking, and are left out. Raises InvalidInput if there is no other.
    """
    queries: dict[str, JudgedQuery] = {}
    for name, asked, image, grade in rows:
        queries.setdefault(name, JudgedQuery(name, asked)).grades[image] = grade
    found = [query for query in queries.values() if query.has_match]
    if not found:
        raise InvalidInput(f"{source}: no query has an image that is relevant to it, so there is nothing to measure")
    return found


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Lines that say something, with what to call them. Raises InvalidInput, OSError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"{path}: is no text in UTF-8") from exc
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def objects_in(path: Path, such_as: str) -> Iterator[tuple[str, JsonObject]]:
    """The objects of a file of JSON lines, with what to call each. Raises InvalidInput, which tells what is right, and OSError."""
    for where, line in _lines(path):
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError as exc:
            raise InvalidInput(f"{where}: holds a lone surrogate, which is not a character; write valid Unicode") from exc
        except (ValueError, RecursionError) as exc:
            raise InvalidInput(f"{where}: is no JSON; each line is an object such as {such_as}") from exc
        if not isinstance(row, dict):
            raise InvalidInput(f"{where}: must be an object such as {such_as}")
        yield where, row


def _json_lines(path: Path) -> Iterator[tuple[str, JsonObject, str, int]]:
    for where, row in objects_in(path, LINE):
        asked = _asked(row, where)
        name = str(row.get("query_id") or json.dumps(asked, sort_keys=True))
        for image in _images(row, where):
            yield name, asked, image, _grade(row.get("grade", 1), where)


def _asked(row: JsonObject, where: str) -> JsonObject:
    text, query = row.get("text"), row.get("query")
    if isinstance(text, str) and text.strip():
        return {"query": [{"text": text.strip()}]}
    if isinstance(query, dict) and isinstance(query.get("query"), list):
        return query
    raise InvalidInput(f'{where}: has neither a "text" nor a "query" as `/v1/search` takes it; each line is as {LINE}')


def _images(row: JsonObject, where: str) -> list[str]:
    """The ids of `id`, `key` or `keys`; none if it says that nothing matches, `"keys": []`."""
    keys = row.get("keys", [row["key"]] if "key" in row else [])
    ids = [row["id"]] if "id" in row else []
    if not isinstance(keys, list) or not all(isinstance(one, str) and one for one in (*keys, *ids)):
        raise InvalidInput(f'{where}: "key" and "id" are texts, "keys" a list of them')
    if bad := [one for one in ids if not is_image_id(one)]:
        raise InvalidInput(f'{where}: "id" must be 32 lower-case hex digits, not {bad[0][:60]!r}; paths of files go into "key"')
    if not keys and not ids and "keys" not in row:
        raise InvalidInput(f'{where}: names no image; add its "key", or its "id", or "keys": [] if there is none')
    return [*map(image_id, keys), *ids]


def _grade(grade: Any, where: str) -> int:
    if isinstance(grade, bool) or not isinstance(grade, int) or not 0 <= grade <= MAX_GRADE:
        raise InvalidInput(f'{where}: "grade" must be a whole number from 0 (irrelevant) to {MAX_GRADE} (got {str(grade)[:40]!r})')
    return grade


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    for where, line in _lines(path):
        name, tab, text = line.partition("\t")
        if not tab or not text.strip():
            raise InvalidInput(f"{where}: must be the id of a query, a tab, and its text")
        yield name.strip(), text.strip()


def _trec(path: Path, texts: Mapping[str, str]) -> Iterator[tuple[str, JsonObject, str, int]]:
    """Lines `QUERY 0 IMAGE GRADE`, where IMAGE is an id or a key."""
    for where, line in _lines(path):
        parts = line.split()
        if len(parts) != 4 or not _WHOLE.fullmatch(parts[3]):
            raise InvalidInput(f"{where}: must be `QUERY 0 IMAGE GRADE`, as in TREC's qrels, with a whole number last")
        name, _, image, grade = parts
        if name not in texts:
            raise InvalidInput(f"{where}: the query {name[:60]!r} has no text among the topics")
        asked = {"query": [{"text": texts[name]}]}
        yield name, asked, image if is_image_id(image) else image_id(image), _grade(max(0, int(grade)), where)
