"""The command `evaluate judgements`: precision and recall of searches on judged queries, for several setups side by side.

A running service searches for the queries; without one, this process does.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from ml_api.cli.exits import Exit
from ml_api.cli.parsing import Options
from ml_api.cli.plots import pyplot_for, saved
from ml_api.cli.running_service import ANSWER_S, RunningService, running_service
from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, InvalidInput
from ml_api.evaluation.judged import JudgedQuery, grouped, read
from ml_api.evaluation.measuring import Mean, compared
from ml_api.feedback import Judgement, Verdicts
from ml_api.search import Marks, Query, StoredTerm, TextTerm, Weighted
from ml_api.services import database_of, open_searching, target_of
from ml_api.settings import Settings
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import parse

DEPTH: Final = 100
"""Hits of a query that are measured, as many as an answer has."""
AT_ONCE: Final = 16
_EFFORT: Final = re.compile(r"[1-9]\d{0,4}", re.ASCII)
ALIKE: Final = 0.05
"""Differences with a lower p-value are marked with `*`."""

NO_FEEDBACK: Final = (
    "there is no feedback yet: mark hits as good or bad matches on the search page, or with POST /v1/feedback, while the service "
    "runs with ML_API_LOG_QUERIES=true, which keeps the texts of searches; or name a file of judgements with --queries"
)

_log = logging.getLogger(__name__)
Found = list[list[str]]


@dataclass(frozen=True, slots=True)
class Setup:
    """`model` is empty for the one in use; `asked` are further members of `/v1/search`."""

    name: str
    model: str = ""
    effort: int | None = None
    asked: tuple[tuple[str, Any], ...] = ()


class Ranker(Protocol):
    def rank(self, queries: Sequence[JudgedQuery], setup: Setup) -> Found:
        """The ids of what each query finds, best first. Raises MlApiError."""
        ...


def evaluate_judgements(settings: Settings, options: Options) -> Exit:
    """Raises ConfigError, InvalidInput, Unavailable, OSError."""
    pyplot = pyplot_for(options.plot)
    setups = [setup_of(text) for text in options.setup or ["as configured"]]
    if options.k > DEPTH:
        raise ConfigError(f"evaluate judgements: --k is at most {DEPTH}")
    given = isinstance(options.queries, Path)
    queries = read(options.queries, options.topics) if given else _of_feedback(settings)
    with _ranker(settings) as ranker:
        rankings = {setup.name: ranker.rank(queries, setup) for setup in setups}
    found = compared(queries, rankings, options.k)
    if options.json:
        print(json.dumps({"queries": len(queries), "setups": _plain(found)}, indent=2))  # noqa: T201 - the output
    else:
        print("\n".join(_table(found, len(queries))))  # noqa: T201 - the output
    if options.plot is not None:
        _draw(pyplot, options.plot, found)
    return Exit.DONE


def setup_of(text: str) -> Setup:
    """Raises ConfigError."""
    setup = Setup(text)
    for part in text.split(",") if text != "as configured" else ():
        name, is_given, value = part.strip().partition("=")
        if not is_given or not name or not value:
            raise ConfigError(f"--setup: {part.strip()!r} must be NAME=VALUE, such as exact=true, effort=200 or model=DIR")
        if name == "effort" and not _EFFORT.fullmatch(value):
            raise ConfigError(f"--setup: effort must be a whole number from 1 to 99,999 (got {value[:40]!r})")
        match name:
            case "model":
                setup = replace(setup, model=value)
            case "effort":
                setup = replace(setup, effort=int(value))
            case _:
                setup = replace(setup, asked=(*setup.asked, (name, _value(value))))
    return setup


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _of_feedback(settings: Settings) -> list[JudgedQuery]:
    """Raises ConfigError, InvalidInput, DatabaseUnavailable."""
    with closing(database_of(settings)) as database:
        every = list(Verdicts(database, target_of(settings)).all())
    if not every:
        raise InvalidInput(NO_FEEDBACK)
    known = [one for one in every if is_repeatable(one.query)]
    if len(known) < len(every):
        _log.warning(
            "%d of %d judgements are of searches that cannot be repeated: images and vectors are not kept, and texts and filters "
            "only with ML_API_LOG_QUERIES",
            len(every) - len(known),
            len(every),
        )
    return grouped(map(_row, known), "the feedback")


def is_repeatable(asked: Mapping[str, Any]) -> bool:
    kept = all("id" in term or "text" in term for term in asked["query"])
    return kept and asked.get("filter", {}) is not None


def _row(one: Judgement) -> tuple[str, dict[str, Any], str, int]:
    """Searches for the same are one query."""
    return json.dumps(one.query, sort_keys=True), dict(one.query), one.image_id, one.grade


@contextmanager
def _ranker(settings: Settings) -> Iterator[Ranker]:
    with running_service(settings) as service:
        yield _LocalRanker(settings) if service is None else _ServiceRanker(service)


class _ServiceRanker:
    def __init__(self, service: RunningService) -> None:
        self._service = service

    def rank(self, queries: Sequence[JudgedQuery], setup: Setup) -> Found:
        if setup.model or setup.effort:
            raise ConfigError(
                f"--setup {setup.name}: a service runs over this collection, with one model and one effort; stop it to compare "
                "others, or compare what /v1/search takes"
            )
        found: Found = []
        for start in range(0, len(queries), AT_ONCE):
            some = queries[start : start + AT_ONCE]
            bodies = [query.request | dict(setup.asked) | {"limit": DEPTH} for query in some]
            results = json.loads(self._service.ask("/v1/search/batch", {"queries": bodies}))["results"]
            for query, result in zip(some, results, strict=True):
                if result["problem"] is not None:
                    raise InvalidInput(f"the query {query.name[:100]!r} cannot be searched for: {result['problem']['detail']}")
                found.append([hit["id"] for hit in result["found"]["hits"]])
        return found


class _LocalRanker:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def rank(self, queries: Sequence[JudgedQuery], setup: Setup) -> Found:
        asked = dict(setup.asked)
        exact = asked.pop("exact", False)
        if asked:
            raise ConfigError(f"--setup {setup.name}: {next(iter(asked))} is known to a running service alone; start one (`serve`)")
        if not isinstance(exact, bool):
            raise ConfigError(f"--setup {setup.name}: exact must be true or false")
        options = SearchOptions(DEPTH, exact=exact, effort=setup.effort)
        with open_searching(self._settings, setup.model) as parts:
            results = [parts.searcher.search(_query(one, options), Deadline.within(ANSWER_S)) for one in queries]
        return [[hit.record.id for hit in result.hits] for result in results]


def _query(judged: JudgedQuery, options: SearchOptions) -> Query:
    """Raises InvalidInput."""
    asked = judged.request
    terms = []
    for term in asked["query"]:
        match term:
            case {"text": str(text)}:
                terms.append(Weighted(TextTerm(text), float(term.get("weight", 1))))
            case {"id": str(image)}:
                terms.append(Weighted(StoredTerm(image), float(term.get("weight", 1))))
            case _:
                raise InvalidInput(f"the query {judged.name[:100]!r} has a term that is no text and no id; a service takes it")
    more, less = (tuple(map(StoredTerm, asked.get(name, ()))) for name in ("more_like", "less_like"))
    chosen = replace(options, filter=parse(asked["filter"]) if asked.get("filter") else None)
    return Query(tuple(terms), chosen, asked.get("exclude_inputs", True), marks=Marks(more, less))


def _plain(found: Mapping[str, Mapping[str, Mean]]) -> dict[str, Any]:
    return {setup: {name: asdict(mean) for name, mean in means.items()} for setup, means in found.items()}


def _table(found: Mapping[str, Mapping[str, Mean]], queries: int) -> Iterator[str]:
    width = max(14, *map(len, found))
    first = next(iter(found))
    counted = f"{queries:,} {'query' if queries == 1 else 'queries'}"
    yield f"{counted:<{width}}" + "".join(f"{name:>24}" for name in found[first])
    for setup, means in found.items():
        yield f"{setup:<{width}}" + "".join(f"{_cell(mean):>24}" for mean in means.values())
    if len(found) > 1:
        is_any_marked = any(_differs(mean) for means in found.values() for mean in means.values())
        told = f"* differs from {first}" if is_any_marked else f"no significant difference from {first}"
        yield f"{told} (paired permutation test, p < {ALIKE})"


def _cell(mean: Mean) -> str:
    return f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]{'*' if _differs(mean) else ' '}"


def _differs(mean: Mean) -> bool:
    return mean.p is not None and mean.p < ALIKE


def _draw(pyplot: Any, path: Path, found: Mapping[str, Mapping[str, Mean]]) -> None:
    figure, axis = pyplot.subplots(figsize=(8, 4.5))
    for place, (setup, means) in enumerate(found.items()):
        at = [number + (place - (len(found) - 1) / 2) * 0.15 for number in range(len(means))]
        middle = [mean.mean for mean in means.values()]
        spread = [[mean.mean - mean.low for mean in means.values()], [mean.high - mean.mean for mean in means.values()]]
        axis.errorbar(at, middle, yerr=spread, fmt="o", capsize=3, label=setup)
    names = list(next(iter(found.values())))
    axis.set(xticks=range(len(names)), xticklabels=names, ylim=(0, 1.02), title="what searches find of what was judged")
    axis.legend(frameon=False)
    saved(pyplot, figure, path)
