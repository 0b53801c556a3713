"""How views reach the services: through the application they belong to, never through a global."""

from flask import current_app

from ml_api.services import Services

EXTENSION = "ml_api"


def services() -> Services:
    found: Services = current_app.extensions[EXTENSION]
    return found
