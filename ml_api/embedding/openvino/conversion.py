"""`python -m ml_api.embedding.openvino.conversion`: a model of the library's as OpenVINO's files, if its vectors stay the same.

A program of its own, started by `openvino.files`: the only place that needs both torch and OpenVINO.
"""

import shutil
import sys
import warnings
from typing import Any, Final

import numpy as np
import openvino  # type: ignore[import-untyped]  # as in encoder

from ml_api.embedding.base import Prepared
from ml_api.embedding.clip import ClipEncoder
from ml_api.embedding.clip.encoder import towers
from ml_api.embedding.openvino.encoder import compile_model
from ml_api.embedding.openvino.files import ORDERS, OUTCOMES, Order, Outcome, converted
from ml_api.embedding.precision import Precision
from ml_api.errors import ConfigError, ModelUnavailable
from ml_api.stopping import end_with_parent
from ml_api.vocabulary import Modality

COSINE: Final = 0.999
"""Least cosine between a converted model's vectors and torch's in float32; bfloat16 gives 0.9999."""
_TEXTS: Final = ("dog", "two dogs playing in the snow at night")
"""Texts of two lengths, so that padding is compared, too."""


def main() -> None:
    end_with_parent(int(sys.argv[1]))  # the next start would delete the folder that an orphan still writes to
    outcome = attempt(ORDERS.validate_json(sys.stdin.read()))
    print(OUTCOMES.dump_json(outcome).decode())  # noqa: T201 - who started this reads it


def attempt(order: Order) -> Outcome:
    """Convert, and say what came of it."""
    try:
        return convert(order)
    except ConfigError as exc:
        return Outcome(problems=exc.problems)
    except ModelUnavailable as exc:
        return Outcome(reason=exc.detail)


def convert(order: Order, least_cosine: float = COSINE) -> Outcome:
    """Raises ConfigError for a model that cannot be loaded, ModelUnavailable for one that computes nothing finite."""
    torchs = ClipEncoder(order.pretrained, device="cpu", precision="fp32")
    if not torchs.preprocessor.can_be_saved:
        return Outcome(reason="its image processor is of an unknown kind")
    target, probes, core = order.target, _probes(torchs), openvino.Core()
    precision: Precision = "bf16" if order.stored == "fp16" else "fp32"
    made = towers(torchs, probes)
    for modality in converted(order.pretrained):
        module, example = made[modality]
        path = target / f"{modality}.xml"
        try:
            openvino.save_model(_traced(module, example), path, compress_to_fp16=order.stored == "fp16")
        except RuntimeError as exc:  # of a C++ stream, which does not tell why
            free_mib = shutil.disk_usage(target).free / 2**20
            return Outcome(reason=f"its files cannot be written, {free_mib:,.1f} MiB are free on the disk ({exc})")
        # As it will be served: from the file, whose float16 might not hold every weight.
        cosine = _least_cosine(compile_model(core, str(path), precision), example, torchs.embed(probes[modality]))
        if not cosine >= least_cosine:  # nor is NaN
            return Outcome(reason=f"the converted model computes other vectors for {modality} (cosine {cosine:.4f})")
    torchs.preprocessor.save(target)
    return Outcome()


def _probes(encoder: ClipEncoder) -> dict[Modality, list[Prepared]]:
    preprocessor = encoder.preprocessor
    edge = preprocessor.fit.edge_px
    noise = np.random.default_rng(7).integers(0, 256, (edge, edge, 3), dtype=np.uint8)
    red = np.full_like(noise, (255, 0, 0))
    return {
        "text": [preprocessor.prepare_text(text) for text in _TEXTS],
        "image": [preprocessor.prepare_image(picture) for picture in (noise, red)],
    }


def _traced(module: Any, example: dict[str, Any]) -> openvino.Model:
    """With a free number of inputs, and for text a free number of tokens."""
    free = {name: [-1, -1] if array.ndim == 2 else [-1, *array.shape[1:]] for name, array in example.items()}
    with warnings.catch_warnings(action="ignore"):  # torch's: tracing is deprecated, and fixes branches
        model = openvino.convert_model(module, example_input=example, input=free)
    for tensor, name in zip(model.inputs, example, strict=True):
        tensor.get_tensor().set_names({name})
    return model


def _least_cosine(model: Any, example: dict[str, Any], expected: Any) -> float:
    vectors = model({name: array.numpy() for name, array in example.items()})[0]
    return float(((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) * expected).sum(axis=1).min())


if __name__ == "__main__":
    main()
