"""Metrics of GPUs and of torch's memory on them, read at each scrape. Without a GPU there are no series."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ml_api.metrics.catalogue import Catalogue, Definition

Reading = Callable[[Any, Any], float]

READINGS: Final[Mapping[str, tuple[str, Reading]]] = {
    "ml_api_gpu_utilization_ratio": (
        "Share of time in which the GPU was busy, 0 to 1.",
        lambda nvml, gpu: nvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    ),
    "ml_api_gpu_memory_used_bytes": (
        "Memory of the GPU in use, by all processes.",
        lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used,
    ),
    "ml_api_gpu_memory_total_bytes": ("Memory of the GPU.", lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).total),
    "ml_api_gpu_power_watts": ("Power draw of the GPU.", lambda nvml, gpu: nvml.nvmlDeviceGetPowerUsage(gpu) / 1000),
    "ml_api_gpu_temperature_celsius": (
        "Temperature of the GPU.",
        lambda nvml, gpu: nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
    ),
}
"""Readings of NVIDIA's management library: metric name, help, and how to read it."""

TorchMemory = Callable[[], Mapping[str, tuple[int, int]]]
"""Returns for each device the bytes in tensors, and the bytes that torch has reserved for them."""

_log = logging.getLogger(__name__)


class GpuMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self._registry = catalogue.registry
        self._of_gpus = [catalogue.collected(name, help_, {"gpu": ()}) for name, (help_, _) in READINGS.items()]
        allocated = catalogue.collected(
            "ml_api_torch_memory_allocated_bytes", "Memory of the device that torch has allocated for tensors.", {"device": ()}
        )
        reserved = catalogue.collected(
            "ml_api_torch_memory_reserved_bytes", "Memory of the device that torch has reserved.", {"device": ()}
        )
        self._torch = _Torch(allocated, reserved)
        self._registry.register(self._torch)

    def watch(self, nvml: Any) -> None:
        """Read the GPUs through `nvml`, the module `pynvml`. Without a driver or a GPU nothing is watched."""
        try:
            nvml.nvmlInit()
            gpus = {str(index): nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())}
        except nvml.NVMLError as exc:
            _log.debug("no GPU is watched: %s", exc)
            return
        self._registry.register(_Gpus(nvml, gpus, self._of_gpus))

    def watch_torch(self, memory: TorchMemory | None) -> None:
        """Read torch's memory by calling `memory`, which replaces an earlier one; None ends the series."""
        self._torch.memory = memory


class _Gpus(Collector):
    def __init__(self, nvml: Any, gpus: Mapping[str, Any], definitions: list[Definition]) -> None:
        self._nvml = nvml
        self._gpus = gpus
        self._definitions = definitions

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(_family, self._definitions)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for definition in self._definitions:
            family = _family(definition)
            _, read = READINGS[definition.name]
            for index, gpu in self._gpus.items():
                try:
                    family.add_metric([index], read(self._nvml, gpu))
                except self._nvml.NVMLError as exc:  # not every GPU can tell everything
                    _log.debug("%s of GPU %s: %s", definition.name, index, exc)
            yield family


class _Torch(Collector):
    def __init__(self, *definitions: Definition) -> None:
        self.memory: TorchMemory | None = None
        self._definitions = definitions

    def describe(self) -> Iterator[GaugeMetricFamily]:
        return map(_family, self._definitions)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        if (read := self.memory) is None:
            return
        memory = read()
        for number, definition in enumerate(self._definitions):
            family = _family(definition)
            for device, bytes_ in memory.items():
                family.add_metric([device], bytes_[number])
            yield family


def _family(definition: Definition) -> GaugeMetricFamily:
    return GaugeMetricFamily(definition.name, definition.help, labels=list(definition.labels))
