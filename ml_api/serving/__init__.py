"""The production server: granian in one process, and who is let in when more come than can be answered."""

from ml_api.serving.server import Server, end

__all__ = ["Server", "end"]
