"""`python -m ml_api.embedding.openvino.conversion` converts a model to OpenVINO's files, and checks that its vectors stay the same.

It is a separate program, which `openvino.files` starts: the only code that needs both torch and OpenVINO.
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
from ml_api.embedding.openvino.files import OUTCOMES, REQUESTS, ConversionOutcome, ConversionRequest, converted
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
    outcome = attempt(REQUESTS.validate_json(sys.stdin.read()))
    print(OUTCOMES.dump_json(outcome).decode())  # noqa: T201 - the parent process reads it


def attempt(request: ConversionRequest) -> ConversionOutcome:
    """Convert, and return the errors of `convert` as an outcome, too."""
    try:
        return convert(request)
    except ConfigError as exc:
        return ConversionOutcome(problems=exc.problems)
    except ModelUnavailable as exc:
        return ConversionOutcome(reason=exc.detail)


def convert(request: ConversionRequest, least_cosine: float = COSINE) -> ConversionOutcome:
    """Convert a model, and compare the vectors. Raises ConfigError if it cannot be loaded, ModelUnavailable if its vectors are not
    finite."""
    reference = ClipEncoder(request.pretrained, device="cpu", precision="fp32")
    if not reference.preprocessor.can_be_saved:
        return ConversionOutcome(reason="its image processor is of an unknown kind")
    target, probes, core = request.target, _probes(reference), openvino.Core()
    precision: Precision = "bf16" if request.stored == "fp16" else "fp32"
    traceable = towers(reference, probes)
    for modality in converted(request.pretrained):
        module, example = traceable[modality]
        path = target / f"{modality}.xml"
        try:
            openvino.save_model(_traced(module, example), path, compress_to_fp16=request.stored == "fp16")
        except RuntimeError as exc:  # from a C++ stream, which gives no reason
            free_mib = shutil.disk_usage(target).free / 2**20
            return ConversionOutcome(reason=f"its files cannot be written, {free_mib:,.1f} MiB are free on the disk ({exc})")
        # Compiled from the file, as it will be served: float16 might not represent every weight.
        cosine = _least_cosine(compile_model(core, str(path), precision), example, reference.embed(probes[modality]))
        if not cosine >= least_cosine:  # true for NaN, too
            return ConversionOutcome(reason=f"the converted model computes other vectors for {modality} (cosine {cosine:.4f})")
    reference.preprocessor.save(target)
    return ConversionOutcome()


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
    """The traced model, with a dynamic batch size, and for text a dynamic number of tokens."""
    dynamic = {name: [-1, -1] if array.ndim == 2 else [-1, *array.shape[1:]] for name, array in example.items()}
    with warnings.catch_warnings(action="ignore"):  # torch's: tracing is deprecated, and fixes branches
        model = openvino.convert_model(module, example_input=example, input=dynamic)
    for tensor, name in zip(model.inputs, example, strict=True):
        tensor.get_tensor().set_names({name})
    return model


def _least_cosine(model: Any, example: dict[str, Any], expected: Any) -> float:
    vectors = model({name: array.numpy() for name, array in example.items()})[0]
    return float(((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) * expected).sum(axis=1).min())


if __name__ == "__main__":
    main()
