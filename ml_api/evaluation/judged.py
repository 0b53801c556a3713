"""Reads judged queries, each with relevance grades of images, from files or from rows of feedback."""

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
    """A query with relevance judgements. `request` is a body of `/v1/search`, without `limit`; `grades` are by image id, 0 for
    irrelevant ones."""

    name: str
    request: JsonObject
    grades: dict[str, int] = field(default_factory=dict)

    @property
    def has_match(self) -> bool:
        return any(self.grades.values())


def read(path: Path, topics: Path | None = None) -> list[JudgedQuery]:
    """Read JSON lines, or, with `topics`, TREC qrels; the queries of these are the lines `ID TAB TEXT` of `topics`.

    Raises InvalidInput, OSError.
    """
    texts = None if topics is None else dict(_topics(topics))
    return grouped(_trec(path, texts) if texts is not None else _json_lines(path), str(path))


def grouped(rows: Iterable[tuple[str, JsonObject, str, int]], source: str) -> list[JudgedQuery]:
    """Group rows of (query name, request, image id, grade) by query. If an image is judged twice, the last grade counts.

    Queries without a relevant image cannot measure a ranking and are left out. Raises InvalidInput if no others remain.
    """
    queries: dict[str, JudgedQuery] = {}
    for name, request, image, grade in rows:
        queries.setdefault(name, JudgedQuery(name, request)).grades[image] = grade
    matched = [query for query in queries.values() if query.has_match]
    if not matched:
        raise InvalidInput(f"{source}: no query has an image that is relevant to it, so there is nothing to measure")
    return matched


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the non-blank lines of a file, each with its place for messages. Raises InvalidInput, OSError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"{path}: is no text in UTF-8") from exc
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", line.strip()


def objects_in(path: Path, such_as: str) -> Iterator[tuple[str, JsonObject]]:
    """Yield the objects of a file of JSON lines, each with its place for messages. Raises OSError, and InvalidInput that shows
    `such_as`, a valid line."""
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
        request = _request(row, where)
        name = str(row.get("query_id") or json.dumps(request, sort_keys=True))
        for image in _images(row, where):
            yield name, request, image, _grade(row.get("grade", 1), where)


def _request(row: JsonObject, where: str) -> JsonObject:
    text, query = row.get("text"), row.get("query")
    if isinstance(text, str) and text.strip():
        return {"query": [{"text": text.strip()}]}
    if isinstance(query, dict) and isinstance(query.get("query"), list):
        return query
    raise InvalidInput(f'{where}: has neither a "text" nor a "query" as `/v1/search` takes it; each line is as {LINE}')


def _images(row: JsonObject, where: str) -> list[str]:
    """The image ids of a row's `id`, `key` or `keys`; none for `"keys": []`, which means that nothing matches."""
    keys = row.get("keys", [row["key"]] if "key" in row else [])
    ids = [row["id"]] if "id" in row else []
    if not isinstance(keys, list) or not all(isinstance(name, str) and name for name in (*keys, *ids)):
        raise InvalidInput(f'{where}: "key" and "id" are texts, "keys" a list of them')
    if bad := [image for image in ids if not is_image_id(image)]:
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
    """Read lines `QUERY 0 IMAGE GRADE`, where IMAGE is an id or a key."""
    for where, line in _lines(path):
        parts = line.split()
        if len(parts) != 4 or not _WHOLE.fullmatch(parts[3]):
            raise InvalidInput(f"{where}: must be `QUERY 0 IMAGE GRADE`, as in TREC's qrels, with a whole number last")
        name, _, image, grade = parts
        if name not in texts:
            raise InvalidInput(f"{where}: the query {name[:60]!r} has no text among the topics")
        request = {"query": [{"text": texts[name]}]}
        yield name, request, image if is_image_id(image) else image_id(image), _grade(max(0, int(grade)), where)
