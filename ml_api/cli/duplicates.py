"""The command `duplicates`: which images are indexed more than once, a group at a time as they are found."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from typing import Any

from ml_api.cli.exits import Exit, stopped
from ml_api.deadline import Deadline
from ml_api.duplicates import DuplicateFinder, Group, Kind, Match, Thresholds
from ml_api.images.perceptual import HASH_BITS, Turn
from ml_api.settings import Settings
from ml_api.stopping import Stop

COMPARED_AT_ONCE = 256

_log = logging.getLogger(__name__)


def duplicates(settings: Settings, thresholds: Thresholds, *, as_json: bool) -> Exit:
    """Groups on standard output; what was compared, and counts, in the log."""
    from ml_api.progress import show_progress
    from ml_api.services import open_store

    started, after, compared, without_hash, found = monotonic(), "", 0, 0, Counter[Kind]()
    with Stop() as stop, open_store(settings) as store:
        finder = DuplicateFinder(store, settings.metric)
        with show_progress("comparing", store.count()) as progress:
            while stop.signal is None:
                page = finder.page(after, COMPARED_AT_ONCE, thresholds, Deadline.within(600))
                for group in page.groups:
                    found[group.kind] += 1
                    print(json.dumps(_plain(group)) if as_json else "\n".join(_lines(group)), flush=True)  # noqa: T201 - the output
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
    _log.info("%s images compared in %.1f s; groups: %s", f"{compared:,}", monotonic() - started, counts)
    return Exit.DONE


def _lines(group: Group) -> Iterator[str]:
    yield f"{group.kind}: {group.image.key}"
    for match in group.matches:
        yield f"    {match.record.key}  ({_evidence(group.kind, match)})"
    if group.more:
        yield "    ... and more"


def _evidence(kind: Kind, match: Match) -> str:
    if kind is Kind.EXACT:
        return f"digest {match.record.digest[:12]}"
    evidence = match.evidence
    told = [f"similarity {evidence.similarity:.3f}"]
    if evidence.bits is not None:
        told.append(f"{evidence.bits} of {HASH_BITS} bits differ")
    if evidence.turn not in (None, Turn.NONE) and kind is Kind.NEAR:
        told.append(str(evidence.turn))
    return ", ".join(told)


def _plain(group: Group) -> dict[str, Any]:
    matches = [
        {
            "key": match.record.key,
            "id": match.record.id,
            "digest": match.record.digest,
            "similarity": round(match.evidence.similarity, 6),
            "bits": match.evidence.bits,
            "turn": match.evidence.turn,
        }
        for match in group.matches
    ]
    image = {"key": group.image.key, "id": group.image.id, "digest": group.image.digest}
    return {"kind": group.kind, **image, "duplicates": matches, "more": group.more}
