"""The production server: granian in one process, admission control, and limits on slow clients."""

from ml_api.serving.server import Server, end

__all__ = ["Server", "end"]
