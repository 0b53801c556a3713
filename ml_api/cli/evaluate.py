"""The command `evaluate`: recall and time of the index against exact search, and the quality of the prediction of matches.

A running service with the embedded store measures for the command, which shows the results.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_api.cli.delegation import hand_over
from ml_api.cli.exits import Exit
from ml_api.cli.plots import pyplot_for, saved
from ml_api.errors import ConfigError
from ml_api.evaluation import Measured, recall_of_index
from ml_api.indexing.jobs import Operation
from ml_api.settings import Settings, environment_name
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind

if TYPE_CHECKING:
    from ml_api.calibration.evaluating import Evaluation, LabelledQuery

_log = logging.getLogger(__name__)


def evaluate_recall(settings: Settings, queries: int | Path, k: int, plot: Path | None, *, as_json: bool) -> Exit:
    """Raises ConfigError, Unavailable."""
    pyplot = pyplot_for(plot)
    if isinstance(queries, Path):
        raise ConfigError(f"evaluate recall: --queries is a number of stored images, not {str(queries)!r}")
    ended, told = _asked(settings, Operation(JobKind.EVALUATE, queries=queries, k=k))
    if ended is None:
        measured, index = _measured_here(settings, queries, k), settings.index
    elif told is not None:
        _require_some(told["images"])
        measured, index = (Measured(**row) for row in told["rows"]), told["index"]
    else:
        return ended
    rows = list(measured) if as_json else _show_recall(index, measured, k)
    if as_json:
        print(json.dumps({"index": index, "k": k, "rows": [asdict(row) for row in rows]}))  # noqa: T201 - the output
    if plot is not None:
        _draw(pyplot, plot, rows, _parameter(index), k)
    return ended or Exit.DONE


def _asked(settings: Settings, operation: Operation) -> tuple[Exit | None, Any]:
    """The exit code and the results of the service; None for both if no service owns the store. Raises its error."""
    lines: list[str] = []
    with Stop() as stop:
        stop.reached = "before anything was measured"
        ended = hand_over(settings, operation, stop, tell=lines.append)
    return ended, json.loads(lines[0]) if lines else None


def _measured_here(settings: Settings, queries: int, k: int) -> Iterator[Measured]:
    from ml_api.services import open_store

    with open_store(settings) as store:
        found = recall_of_index(store, settings.index, queries, k)
        _require_some(found.images)
        yield from found.rows


def _require_some(images: int) -> None:
    if images <= 1:
        raise ConfigError("fewer than two images are indexed: there is nothing to compare")
    _log.info("%d images of the collection are searched for, each without itself", images)


def _parameter(index: str) -> str:
    """That of its effort; empty if it has none."""
    from ml_api.vectors.base import SEARCH_PARAMETERS

    effort = SEARCH_PARAMETERS.get(index)
    return "" if effort is None else effort.parameter


def _show_recall(index: str, measured: Iterable[Measured], k: int) -> list[Measured]:
    """A row as it is measured; all of them."""
    from ml_api.vectors.base import SEARCH_PARAMETERS

    name, rows = _parameter(index), list[Measured]()
    for row in measured:
        if not rows:
            print(f"{name or 'search':>12} {f'recall@{k}':>10} {'ms':>9}")  # noqa: T201 - the output
        rows.append(row)
        label = "exact" if row.effort is None else row.effort
        print(f"{label:>12} {row.recall:>10.4f} {row.ms:>9.1f}", flush=True)  # noqa: T201 - the output
    if name:
        effort = SEARCH_PARAMETERS[index]
        _log.info("%s sets %s of the index %s", environment_name(effort.setting), name, index)
    return rows


def _draw(pyplot: Any, path: Path, rows: Sequence[Measured], name: str, k: int) -> None:
    figure, axis = pyplot.subplots(figsize=(7, 4.5))
    exact, *index = rows
    axis.plot([row.ms for row in index], [row.recall for row in index], marker="o", label="index")
    for row in index:
        axis.annotate(f"{name} {row.effort}", (row.ms, row.recall), textcoords="offset points", xytext=(6, -10), fontsize=8)
    axis.plot([exact.ms], [exact.recall], marker="s", linestyle="", label="exact")
    axis.set(xscale="log", xlabel="ms a search (median)", ylabel=f"recall@{k}", title="recall and time of the index")
    axis.legend(frameon=False)
    saved(pyplot, figure, path)


def evaluate_relevance(settings: Settings, judgements: Path | int, *, as_json: bool) -> Exit:
    """Measure on judged queries how well matches are predicted. Raises ConfigError, Unavailable, InvalidInput."""
    from ml_api.calibration.evaluating import read_labelled

    if not isinstance(judgements, Path):
        raise ConfigError('evaluate relevance: --queries names a file of judged queries, lines {"text": "...", "keys": ["..."]}')
    queries = read_labelled(judgements)
    ended, told = _asked(settings, Operation(JobKind.EVALUATE, file=str(judgements.absolute())))
    if ended is None:
        told = _evaluated_here(settings, queries).as_json()
    if told is not None and as_json:
        judged = [
            {"scores": label, "roc_auc": auc, "calibration_error": float(error) if error else None}
            for label, auc, error in told["lines"]
        ]
        print(json.dumps({"searches": told["searches"], "lines": judged}))  # noqa: T201 - the output
    elif told is not None:
        _log.info("is there a match: %d searches, those that have one with it and without it", told["searches"])
        print(f"{'':>34} {'ROC AUC':>8} {'calibration error':>18}")  # noqa: T201 - the output
        for label, auc, error in told["lines"]:
            print(f"{label:>34} {auc:>8.3f} {error:>18}")  # noqa: T201 - the output
    return ended or Exit.DONE


def _evaluated_here(settings: Settings, queries: "Sequence[LabelledQuery]") -> "Evaluation":
    from ml_api.calibration.evaluating import evaluate
    from ml_api.services.calibration import open_calibration

    with open_calibration(settings) as parts:
        return evaluate(queries, parts.corpus, parts.kept.calibration())
