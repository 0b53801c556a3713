"""Reading the settings: command line options override `ML_API_*` variables, which override a `.env` file.

An empty variable counts as unset, as compose files and shells produce them so; an empty option does, too, unless the setting is
empty by default: then it overrides what variables say. All problems are reported together, each by the name
under which the value was given; a misspelt name is a problem, not a silently ignored wish.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import SecretStr, ValidationError

from ml_api.errors import ConfigError
from ml_api.settings.conditions import SettingsOfCommand
from ml_api.settings.indexes import OfIndex
from ml_api.settings.model import Settings
from ml_api.settings.reference import PREFIX, environment_name, option_name
from ml_api.wording import what_is_wrong

ENV_FILE = Path(".env")
"""In the working directory; Docker Compose reads it, too."""

KUBERNETES_NAMES = re.compile(r"ML_API_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
KUBERNETES_VALUE = re.compile(r"(tcp|udp|sctp)://.+")
"""Variables that Kubernetes injects for a Service called `ml-api`, such as `ML_API_PORT=tcp://10.0.0.7:80`
(https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)."""

SECRETS = {field for field, declared in Settings.model_fields.items() if declared.annotation is SecretStr}


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and the name under which it was given."""

    name: str
    value: str


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    options: Mapping[str, Given] | None = None,
    env_file: Path | None = None,
    command: Literal["serve", "sync"] | None = None,
    problems: Iterable[str] = (),
) -> Settings:
    """Read the environment (`os.environ` unless given); `options`, by field, win over it, and it over the `env_file`.

    With a `command`, what that needs of the machine is checked, too: ports that are free, folders that can be written. Raises
    ConfigError naming every problem at once, after those `problems` that were found before.
    """
    given: dict[str, Given] = {}
    found = list(problems)
    for layer in (_of_file(env_file, found), _of_environment(os.environ if environ is None else environ, found)):
        given |= layer
    for field, option in (options or {}).items():
        if option.value.strip():
            given[field] = option
        elif Settings.model_fields[field].default == "":
            given[field] = Given(option.name, "")
    kind = SettingsOfCommand if command else Settings
    try:
        settings = kind.model_validate({field: value.value for field, value in given.items()}, context={"command": command})
    except ValidationError as exc:
        found += [_problem(error, given) for error in exc.errors()]
    else:
        found += _of_other_indexes(settings.index, given)
    if found:
        raise ConfigError(*found)
    return settings


def _of_file(path: Path | None, problems: list[str]) -> dict[str, Given]:
    try:
        text = path.read_text("utf-8-sig") if path and path.is_file() else ""
    except (OSError, UnicodeDecodeError) as exc:
        problems.append(f"{path} cannot be read: {getattr(exc, 'strerror', None) or 'it is not UTF-8'}")
        return {}
    broken = [binding.original.line for binding in parse_stream(StringIO(text)) if binding.error]
    if broken:  # which python-dotenv would pass over with a warning; the line itself may hold a secret
        problems.append(f"{path}: line {', '.join(map(str, broken))} is not NAME=value")
        return {}
    given = dotenv_values(stream=StringIO(text), interpolate=False)  # a password may hold a `${`
    return _named({name: value or "" for name, value in given.items()}, f" in {path}", problems)


def _of_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Given]:
    ours = {name: value for name, value in environ.items() if not _by_kubernetes(name, value)}
    return _named(ours, "", problems)


def _by_kubernetes(name: str, value: str) -> bool:
    return bool(KUBERNETES_NAMES.fullmatch(name) or (name.endswith("_PORT") and KUBERNETES_VALUE.match(value)))


def _named(variables: Mapping[str, str], where: str, problems: list[str]) -> dict[str, Given]:
    """The settings among the variables, by field, and problems with unknown names."""
    known = {environment_name(field): field for field in Settings.model_fields}
    ours = {name: value for name, value in variables.items() if name.startswith(PREFIX) and value.strip()}
    problems += [_unknown(name, where, list(known)) for name in sorted(ours.keys() - known.keys())]
    return {known[name]: Given(name + where, value) for name, value in ours.items() if name in known}


def _unknown(name: str, where: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"{name}{where} is not a setting" + (f"; did you mean {close[0]}?" if close else "")


def _problem(error: Any, given: Mapping[str, Given]) -> str:
    field = str(error["loc"][0])
    by_default = Given(f"{option_name(field)} or {environment_name(field)}", "")
    name, value = (given.get(field) or by_default).name, str(error["input"])
    message = what_is_wrong(error, Settings)
    quoted = field not in SECRETS and field in given and value not in message
    return f"{name}: {_without_password(message)}" + (f" (got {_without_password(value)!r})" if quoted else "")


def _of_other_indexes(index: str, given: Mapping[str, Given]) -> Iterator[str]:
    """Settings that were given and that the configured index does not use."""
    for field, setting in given.items():
        for mark in Settings.model_fields[field].metadata:
            if isinstance(mark, OfIndex) and index not in mark.kinds:
                yield f"{setting.name}: belongs to the index {' or '.join(mark.kinds)}, but {environment_name('index')} is {index}"


def _without_password(text: str) -> str:
    return re.sub(r"//[^/@\s]+@", "//…@", text)
