"""Checks that a service which does the work of a command has the settings that the command was given."""

import json
from pathlib import Path

from ml_api.errors import ConfigError
from ml_api.services import reading_of
from ml_api.settings import Settings, environment_name


def require_model(settings: Settings, service_model: str) -> None:
    """Raises ConfigError unless the configured model is that of the service, whose id is given.

    A name on the hub is compared as a name: the model's files need not be on this machine.
    """
    mine = settings.model
    if Path(mine).expanduser().is_dir():
        from ml_api.embedding.pretrained import resolve

        mine = resolve(mine).model_id
    if mine not in {service_model, service_model.rpartition("@")[0]}:
        raise ConfigError(
            f"{environment_name('model')}: the service that runs embeds with {service_model}, not with {mine}; if that is since "
            "`migrate`, name the new model here, too"
        )


def require_given_model(settings: Settings, service_model: str) -> None:
    """As `require_model`, if the command was given a model; otherwise that of the service is used."""
    if "model" in settings.model_fields_set:
        require_model(settings, service_model)


def require_reading(settings: Settings, service_reading: str) -> None:
    """Raises ConfigError unless the service reads files with the settings that this command was given; others it has from the
    service. `service_reading` is the JSON of its `reading_of`."""
    theirs, mine = json.loads(service_reading or "{}"), reading_of(settings)
    given = settings.model_fields_set & theirs.keys()
    others = [environment_name(field) for field in mine if field in given and theirs[field] != mine[field]]
    if others:
        other = "the service that runs would do this sync, and has another value; start it with this one, or leave it out here"
        raise ConfigError(*(f"{name}: {other}" for name in others))
