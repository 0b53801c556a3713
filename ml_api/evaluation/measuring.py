"""Computes the usual measures of rankings with ir-measures (trec_eval), and confidence intervals and paired tests with SciPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ml_api.evaluation.judged import JudgedQuery

SEED: Final = 7
RESAMPLES: Final = 2000
LEVEL: Final = 0.95

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of one measure over all queries. `low` and `high` bound its 95 % confidence interval (bootstrap over queries).

    `p` is the p-value of the difference from the first setup, by a paired permutation test; None for the first setup itself.
    """

    mean: float
    low: float
    high: float
    p: float | None = None


def compared(queries: Sequence[JudgedQuery], rankings: Mapping[str, Sequence[Sequence[str]]], k: int) -> dict[str, dict[str, Mean]]:
    """Return the mean of each measure for each setup. `rankings` has, for each setup, a list of image ids for each query, best
    first."""
    values = {setup: _values(queries, ranked, k) for setup, ranked in rankings.items()}
    first = next(iter(values))
    return {
        setup: {name: _mean(numbers, None if setup == first else values[first][name]) for name, numbers in measures.items()}
        for setup, measures in values.items()
    }


def _values(queries: Sequence[JudgedQuery], ranked: Sequence[Sequence[str]], k: int) -> dict[str, Numbers]:
    """The value of each measure for each query. trec_eval orders by scores, so ranks are passed as negative scores."""
    import ir_measures

    measures = [ir_measures.P @ k, ir_measures.R @ k, ir_measures.RR, ir_measures.nDCG @ k, ir_measures.Judged @ k]
    names = (f"precision@{k}", f"recall@{k}", "MRR", f"nDCG@{k}", f"judged@{k}")
    qrels = {str(place): dict(query.grades) for place, query in enumerate(queries)}
    run = {str(place): {image: -float(rank) for rank, image in enumerate(ids)} or {"": 0.0} for place, ids in enumerate(ranked)}
    values: dict[Any, Numbers] = {measure: np.zeros(len(queries)) for measure in measures}
    for result in ir_measures.iter_calc(measures, qrels, run):
        values[result.measure][int(result.query_id)] = result.value
    return {name: values[measure] for name, measure in zip(names, measures, strict=True)}


def _mean(values: Numbers, others: Numbers | None) -> Mean:
    from scipy import stats

    mean = float(values.mean())
    if len(values) < 2:
        return Mean(mean, mean, mean)
    drawn = np.random.default_rng(SEED).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    if others is None:
        return Mean(mean, float(low), float(high))
    difference = values - others
    if not difference.any():
        return Mean(mean, float(low), float(high), 1.0)
    test = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", vectorized=True, n_resamples=RESAMPLES, rng=SEED
    )
    return Mean(mean, float(low), float(high), float(test.pvalue))
