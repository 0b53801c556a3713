"""What the warm-up learns, from a model whose passes cost what the test says, on a clock that only they move."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from ml_api.embedding.base import Prepared
from ml_api.embedding.batching import MAX_BATCH, warm_up
from ml_api.embedding.batching.costs import units
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import ModelOutOfMemory, ModelUnavailable
from ml_api.records import Vectors


class CostlyEncoder(FakeEncoder):
    """Takes `fixed_s` a pass and `text_s` or `image_s` a unit, on its own clock; the first pass takes a second more."""

    def __init__(self, *, fixed_s: float = 0.01, text_s: float = 0.0005, image_s: float = 0.05, fits: int = 1000) -> None:
        super().__init__()
        self._fixed_s = fixed_s
        self._unit_s = {"text": text_s, "image": image_s}
        self._fits = fits
        self.now = 0.0
        self.batches: list[tuple[str, int, int]] = []

    def clock(self) -> float:
        return self.now

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        if len(items) > self._fits:
            raise ModelOutOfMemory
        self.now += self._fixed_s + self._unit_s[items[0].modality] * len(items) * units(items[0]) + (not self.batches)
        self.batches.append((items[0].modality, len(items), units(items[0])))
        return np.zeros((len(items), self.model.dim), dtype=np.float32)


def test_the_cost_of_a_pass_is_measured_after_the_cold_one():
    encoder = CostlyEncoder()

    costs = warm_up(FakePreprocessor(), encoder, budget_s=60, clock=encoder.clock)

    assert costs["text"].fixed_s == pytest.approx(0.01)
    assert costs["text"].per_unit_s == pytest.approx(0.0005)
    assert costs["image"].fixed_s == pytest.approx(0.01)
    assert costs["image"].per_unit_s == pytest.approx(0.05)


def test_short_long_single_and_full_batches_go_through_before_the_first_request():
    encoder = CostlyEncoder()

    warm_up(FakePreprocessor(), encoder, budget_s=60, clock=encoder.clock)

    longest = max(length for _, _, length in encoder.batches)
    assert {("text", 1, 1), ("text", MAX_BATCH, longest), ("image", 1, 1), ("image", MAX_BATCH, 1)} <= set(encoder.batches)


@pytest.mark.parametrize("image_s", [0.05, 1, 20])
def test_a_slow_model_is_warmed_up_in_bounded_time(image_s):
    encoder = CostlyEncoder(image_s=image_s)

    costs = warm_up(FakePreprocessor(), encoder, budget_s=5, clock=encoder.clock)

    assert encoder.now < max(6.5, 2 * image_s + 4)
    assert costs["image"].best_batch(1) == pytest.approx(4 if image_s < 1 else 1)


class SettingUp(CostlyEncoder):
    """Sets up for `model_s` in its first pass of a modality, and for `shape_s` in the first one of each shape."""

    def __init__(self, *, model_s: float = 0, shape_s: float = 0) -> None:
        super().__init__(fixed_s=0.018, text_s=0.0001, image_s=0.002)
        self._model_s = model_s
        self._shape_s = shape_s

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        if items[0].modality not in {modality for modality, _, _ in self.batches}:
            self.now += self._model_s
        if (items[0].modality, len(items), units(items[0])) not in self.batches:
            self.now += self._shape_s
        return super().embed(items)


@pytest.mark.parametrize("setup", [{"model_s": 2}, {"model_s": 8}, {"shape_s": 0.5}, {"shape_s": 8}, {"model_s": 8, "shape_s": 8}])
def test_setup_however_long_is_no_cost_of_a_pass(setup):
    encoder = SettingUp(**setup)

    costs = warm_up(FakePreprocessor(), encoder, clock=encoder.clock)

    assert (costs["image"].fixed_s, costs["image"].per_unit_s) == pytest.approx((0.018, 0.002))
    assert (costs["text"].fixed_s, costs["text"].per_unit_s) == pytest.approx((0.018, 0.0001))


class Beside(CostlyEncoder):
    """On a machine that does other things meanwhile: every third pass or so takes three times as long."""

    def __init__(self, seed: int) -> None:
        super().__init__(fixed_s=0.016, text_s=0.00025, image_s=0.029)
        self._chance = random.Random(seed)

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        began = self.now
        vectors = super().embed(items)
        if self._chance.random() < 1 / 3:
            self.now += 2 * (self.now - began)
        return vectors


def test_what_else_the_machine_does_meanwhile_makes_the_batches_no_others():
    alone = CostlyEncoder(fixed_s=0.016, text_s=0.00025, image_s=0.029)
    best = warm_up(FakePreprocessor(), alone, clock=alone.clock)["image"].best_batch(1)
    found = []
    for seed in range(40):
        encoder = Beside(seed)
        found.append(warm_up(FakePreprocessor(), encoder, clock=encoder.clock)["image"].best_batch(1))
    assert sum(best / 2 <= number <= 2 * best for number in found) > 35, f"{found} in place of {best}"


def test_an_accelerator_whose_units_cost_nothing_gets_full_batches():
    encoder = CostlyEncoder(text_s=0, image_s=0)

    costs = warm_up(FakePreprocessor(), encoder, clock=encoder.clock)

    assert costs["text"].best_batch(77) == costs["image"].best_batch(1) == MAX_BATCH


def test_batches_beyond_memory_end_the_warm_up_quietly():
    encoder = CostlyEncoder(fits=4)

    costs = warm_up(FakePreprocessor(), encoder, clock=encoder.clock)

    assert costs["image"].per_unit_s == pytest.approx(0.05)


def test_a_model_that_cannot_hold_one_input_is_unavailable():
    with pytest.raises(ModelUnavailable, match="memory"):
        warm_up(FakePreprocessor(), CostlyEncoder(fits=0), clock=lambda: 0.0)
