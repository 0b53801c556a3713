"""On a machine with CUDA: the forward pass against the peak of bf16 matrix products, a sync, and the latency of one text.

The peak is measured, not read from a data sheet: the best of some big square products on this device, at this moment's clocks.
"""

import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.forward import BareModel
from benchmarks.load import closed_loop
from benchmarks.machine import describe
from benchmarks.measuring import alternate, rate_of
from benchmarks.photographs import write_corpus
from benchmarks.results import bars, save, table
from benchmarks.service import requests, running_service
from benchmarks.sync import sync_rate
from benchmarks.weights import VIT_B_32, VIT_L_14, Shape, random_clip
from ml_api.embedding.precision import Precision

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHAPES = (VIT_B_32, VIT_L_14)
PRECISION: Precision = "bf16"
BATCH = 256
SQUARE = 8192
ROUNDS = 5
SIDE_S = 3.0
SYNC_IMAGES = 4096
TEXT_S = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    model: str
    images_per_s: float
    tflops: float
    peak_tflops: float
    share_of_peak: float
    sync_per_s: float
    sync_share: float
    text_p50_ms: float
    text_p99_ms: float
    served_precision: str


def main() -> int:
    import torch

    if not torch.cuda.is_available():
        print("this machine has no GPU that torch can use: there is nothing to measure here")
        return 2
    machine = describe() | {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
    rows = [measure(shape) for shape in SHAPES]
    table(f"on {machine['gpu']}: {PRECISION}, batches of {BATCH}", rows)
    save("gpu", machine, {"rows": rows}, [partial(_draw, rows=rows)])
    return 0


def measure(shape: Shape) -> Row:
    model = random_clip(shape)
    bare = BareModel(model, PRECISION, "cuda")
    flops_per_image = bare.flops(1)
    sides = alternate({"forward": lambda: bare.rate("image", BATCH, SIDE_S), "product": _product_rate}, ROUNDS)
    tflops = sides.median("forward") * flops_per_image / 1e12
    peak_tflops = max(sides.rates["product"]) * 2 * SQUARE**3 / 1e12
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        write_corpus(Path(name) / "images", SYNC_IMAGES)
        synced = sync_rate(Path(name) / "images", model)
    with running_service(model) as server:
        sent = requests("text")
        closed_loop(server.port, sent, 1, 1.0)
        texts = closed_loop(server.port, sent, 1, TEXT_S).require_success()
        served = str(server.json("/v1/model")["precision"])
    return Row(
        model=shape.name,
        images_per_s=sides.median("forward"),
        tflops=tflops,
        peak_tflops=peak_tflops,
        share_of_peak=tflops / peak_tflops,
        sync_per_s=synced,
        sync_share=synced / sides.median("forward"),
        text_p50_ms=texts.percentile_ms(50),
        text_p99_ms=texts.percentile_ms(99),
        served_precision=served,
    )


def _product_rate() -> float:
    """Square products a second."""
    import torch

    left, right = (torch.randn(SQUARE, SQUARE, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    out: Any = torch.empty_like(left)

    def work() -> int:
        for _ in range(10):
            torch.matmul(left, right, out=out)
        torch.cuda.synchronize()
        return 10

    work()
    return rate_of(work, SIDE_S)


def _draw(axis: "Axes", *, rows: list[Row]) -> None:
    series = {"forward pass": [row.images_per_s for row in rows], "sync": [row.sync_per_s for row in rows]}
    bars(
        axis,
        f"{PRECISION}, batches of {BATCH}",
        "images a second",
        [f"{row.model}\n{row.share_of_peak:.0%} of peak" for row in rows],
        series,
    )


if __name__ == "__main__":
    sys.exit(main())
