"""The services of the application that a request belongs to. There is no global."""

from flask import current_app

from ml_api.services import Services

EXTENSION = "ml_api"


def services() -> Services:
    found: Services = current_app.extensions[EXTENSION]
    return found
