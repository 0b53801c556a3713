"""The command `duplicates`: which images are indexed more than once, a group at a time as they are found.

Beside a service over the embedded store its pages come from there; otherwise they are made here.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlencode

from ml_api.cli.exits import Exit, stopped
from ml_api.cli.running_service import running_service
from ml_api.corpus.base import size_told_by
from ml_api.deadline import Deadline
from ml_api.duplicates import DuplicateFinder, DuplicatesPage, DuplicateThresholds, Group, Kind
from ml_api.images.perceptual import HASH_BITS, Turn
from ml_api.records import ImageRecord
from ml_api.search.query import SCORE_DIGITS
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.wording import legible, size_in_words

COMPARED_AT_ONCE = 256

_log = logging.getLogger(__name__)

Plain = Mapping[str, Any]
"""A group, as the command writes it."""


@dataclass(frozen=True, slots=True)
class _Page:
    groups: Sequence[Plain]
    compared: int
    without_hash: int
    next: str
    """As in `DuplicatesPage`."""


@dataclass(frozen=True, slots=True)
class _Pages:
    images: int
    after: Callable[[str], _Page]


def duplicates(settings: Settings, thresholds: DuplicateThresholds, *, as_json: bool) -> Exit:
    """Groups on standard output, a JSON object each or in words; there, counts of them at the end, too."""
    from ml_api.cli.progress import show_progress

    started, after, compared, without_hash, found = monotonic(), "", 0, 0, Counter[Kind]()
    with Stop() as stop, _pages(settings, thresholds) as pages:
        with show_progress("comparing", pages.images) as progress:
            while stop.signal is None:
                page = pages.after(after)
                for group in page.groups:
                    found[group["kind"]] += 1
                    print(json.dumps(group, ensure_ascii=False) if as_json else "\n".join(_lines(group)), flush=True)  # noqa: T201 - the output
                compared, without_hash, after = compared + page.compared, without_hash + page.without_hash, page.next
                stop.gentle, stop.reached = True, f"after {compared:,} images"
                progress(compared)
                if not after:
                    break
        if stop.signal is not None and after:
            return stopped(stop)
    if without_hash:
        _log.warning(
            "%s of %s images have no perceptual hash, so that no near duplicates of theirs are found: they were indexed by an "
            "earlier version, and get one when their files are read again",
            f"{without_hash:,}",
            f"{compared:,}",
        )
    counts = ", ".join(f"{found[kind]:,} {kind}" for kind in Kind)
    summary = f"{compared:,} images compared in {monotonic() - started:.1f} s; groups: {counts}"
    if as_json:
        _log.info("%s", summary)
    else:
        print(summary)  # noqa: T201 - the output
    return Exit.DONE


@contextmanager
def _pages(settings: Settings, thresholds: DuplicateThresholds) -> Iterator[_Pages]:
    """Raises ConfigError, Unavailable."""
    from ml_api.services import open_store

    if settings.store_is_embedded:
        with running_service(settings) as service:
            if service is not None:
                asked = urlencode(asdict(thresholds) | {"limit": COMPARED_AT_ONCE})

                def ask(after: str) -> _Page:
                    answer = service.ask(f"/v1/duplicates?{asked}{f'&cursor={after}' if after else ''}")
                    return _told(json.loads(answer))

                yield _Pages(json.loads(service.ask("/v1/stats"))["images"], ask)
                return
    with open_store(settings) as store:
        finder = DuplicateFinder(store, settings.metric)
        yield _Pages(store.count(), lambda after: _made(finder.page(after, COMPARED_AT_ONCE, thresholds, Deadline.within(600))))


def _told(answer: Mapping[str, Any]) -> _Page:
    groups = [
        {
            "kind": group["kind"],
            **_named(group["image"]),
            "duplicates": [
                _named(duplicate) | {name: duplicate[name] for name in ("similarity", "bits", "turn")}
                for duplicate in group["duplicates"]
            ],
            "more": group["more"],
        }
        for group in answer["groups"]
    ]
    return _Page(groups, answer["compared"], answer["without_hash"], answer["next"] or "")


def _named(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: image[name] for name in ("key", "id", "digest", "size_bytes")}


def _made(page: DuplicatesPage) -> _Page:
    return _Page([_plain(group) for group in page.groups], page.compared, page.without_hash, page.next)


def _lines(group: Plain) -> Iterator[str]:
    size = _size(group)
    yield f"{group['kind']}: {legible(group['key'], None)}" + (f"  ({', '.join(size)})" if size else "")
    for duplicate in group["duplicates"]:
        yield f"    {legible(duplicate['key'], None)}  ({', '.join([*_size(duplicate), *_evidence(group['kind'], duplicate)])})"
    if group["more"]:
        yield "    ... and more"


def _size(image: Plain) -> list[str]:
    """In words; none if it is not known."""
    return [] if image["size_bytes"] is None else [size_in_words(image["size_bytes"])]


def _evidence(kind: Kind, duplicate: Plain) -> list[str]:
    if kind == Kind.EXACT:
        return [f"digest {duplicate['digest'][:12]}"]
    told = [f"similarity {duplicate['similarity']:.3f}"]
    if duplicate["bits"] is not None:
        told.append(f"{duplicate['bits']} of {HASH_BITS} bits differ")
    if duplicate["turn"] not in {None, Turn.NONE} and kind == Kind.NEAR:
        told.append(str(duplicate["turn"]))
    return told


def _plain(group: Group) -> Plain:
    duplicates = [
        {
            **_fields(duplicate.record),
            "similarity": round(duplicate.evidence.similarity, SCORE_DIGITS),
            "bits": duplicate.evidence.bits,
            "turn": duplicate.evidence.turn,
        }
        for duplicate in group.duplicates
    ]
    return {"kind": group.kind, **_fields(group.image), "duplicates": duplicates, "more": group.more}


def _fields(record: ImageRecord) -> dict[str, Any]:
    return {"key": record.key, "id": record.id, "digest": record.digest, "size_bytes": size_told_by(record.version)}
