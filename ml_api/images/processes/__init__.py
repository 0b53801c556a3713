"""The decoder of the service and of syncs: it decodes in separate processes, with bounds on time and memory that hold for any
file."""

from ml_api.images.processes.decoder import Bounds, ProcessDecoder

__all__ = ["Bounds", "ProcessDecoder"]
