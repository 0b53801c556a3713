"""What GPUs say, through a stand-in for NVIDIA's library."""

from ml_api.metrics import Metrics
from tests.gpus import NvmlError, TwoGpus


class NoDriver(TwoGpus):
    def nvmlInit(self):  # noqa: N802
        raise NvmlError("no driver")


def series(metrics, prefix):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


def test_every_gpu_is_read_at_each_scrape():
    metrics = Metrics()
    metrics.gpu.watch(TwoGpus())
    assert series(metrics, "ml_api_gpu_") == {
        ("ml_api_gpu_utilization_ratio", "0"): 0.5,
        ("ml_api_gpu_utilization_ratio", "1"): 0.51,
        ("ml_api_gpu_memory_used_bytes", "0"): 2**30,
        ("ml_api_gpu_memory_used_bytes", "1"): 2**31,
        ("ml_api_gpu_memory_total_bytes", "0"): 2**34,
        ("ml_api_gpu_memory_total_bytes", "1"): 2**34,
        ("ml_api_gpu_power_watts", "0"): 250,
        ("ml_api_gpu_temperature_celsius", "0"): 60,
        ("ml_api_gpu_temperature_celsius", "1"): 61,
    }


def test_without_a_driver_there_are_no_series():
    metrics = Metrics()
    metrics.gpu.watch(NoDriver())
    assert series(metrics, "ml_api_gpu_") == {}


def test_nvidias_own_library_is_asked_as_it_wants():
    """On a machine without a driver it says so; on one with a GPU its readings are numbers."""
    import pynvml

    metrics = Metrics()
    metrics.gpu.watch(pynvml)
    assert all(value >= 0 for value in series(metrics, "ml_api_gpu_").values())


def test_torchs_memory_is_told_by_device():
    metrics = Metrics()
    metrics.gpu.watch_torch(lambda: {"cuda:0": (10, 20)})
    assert series(metrics, "ml_api_torch_") == {
        ("ml_api_torch_memory_allocated_bytes", "cuda:0"): 10,
        ("ml_api_torch_memory_reserved_bytes", "cuda:0"): 20,
    }


def test_what_torch_has_for_another_model_takes_the_place_of_what_was_watched_before():
    metrics = Metrics()
    metrics.gpu.watch_torch(lambda: {"cuda:0": (10, 20)})
    metrics.gpu.watch_torch(lambda: {"cuda:1": (30, 40)})
    assert series(metrics, "ml_api_torch_") == {
        ("ml_api_torch_memory_allocated_bytes", "cuda:1"): 30,
        ("ml_api_torch_memory_reserved_bytes", "cuda:1"): 40,
    }
    metrics.gpu.watch_torch(None)
    assert series(metrics, "ml_api_torch_") == {}
