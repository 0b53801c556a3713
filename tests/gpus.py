"""A stand-in for NVIDIA's management library, the module `pynvml`."""

from types import SimpleNamespace


class NvmlError(Exception):
    pass


class TwoGpus:
    """Two GPUs, of which the second cannot tell its power."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0

    def nvmlInit(self):  # noqa: N802 - NVIDIA's names
        pass

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return index

    def nvmlDeviceGetUtilizationRates(self, gpu):  # noqa: N802
        return SimpleNamespace(gpu=50 + gpu)

    def nvmlDeviceGetMemoryInfo(self, gpu):  # noqa: N802
        return SimpleNamespace(used=2**30 * (gpu + 1), total=2**34)

    def nvmlDeviceGetPowerUsage(self, gpu):  # noqa: N802
        if gpu == 1:
            raise NvmlError("not supported")
        return 250_000

    def nvmlDeviceGetTemperature(self, gpu, sensor):  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 60 + gpu
