"""The production server: gunicorn, and who is let in when more come than can be answered."""

from ml_api.serving.server import Server

__all__ = ["Server"]
