"""The command `keys`: makes, lists and revokes API keys, beside a running service too."""

import re
import sys
import time
from contextlib import closing
from typing import Final

from ml_api.access import Scope
from ml_api.access.keys import ApiKey, create, day_of, every_key, revoke
from ml_api.cli.existing import require_database
from ml_api.cli.exits import Exit
from ml_api.cli.parsing import Options
from ml_api.database import Database
from ml_api.errors import ConfigError
from ml_api.services import database_of
from ml_api.settings import Settings

_PERIOD: Final = re.compile(r"([1-9]\d{0,4})([hdw])", re.ASCII)
_UNITS_S: Final = {"h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def keys(settings: Settings, options: Options) -> Exit:
    """Raises ConfigError for a command line that makes no sense."""
    scopes, expires_s = _checked(options)
    if options.action != "create":
        require_database(settings, "`serve` and `keys create` make")
    with closing(database_of(settings)) as database:
        match options.action:
            case "create":
                _create(database, options.subject, scopes, expires_s)
            case "revoke":
                key = revoke(database, options.subject, now=time.time())
                print(f"revoked {key.id} ({key.name}); running services refuse it within seconds")  # noqa: T201 - the command's answer
            case _:
                print(_table(every_key(database)))  # noqa: T201 - the command's answer
    return Exit.DONE


def _checked(options: Options) -> tuple[frozenset[Scope], int | None]:
    """The scopes of the key to be made, and after how many seconds it expires. Raises ConfigError."""
    action, subject, scope, expires = options.action, options.subject, options.scope, options.expires
    missing = {"create": "what the key is for", "revoke": "the id of a key, as `keys list` has it"}.get(action)
    problems = []
    if missing and not subject:
        problems.append(f"keys {action}: name {missing}")
    if subject and not missing:
        problems.append(f"{subject!r} is one argument too many")
    if action != "create":
        problems += [f"keys {action} takes no {name}" for name, value in {"--scope": scope, "--expires": expires}.items() if value]
        names = []
    elif not (names := [name.strip() for name in (scope or "").split(",") if name.strip()]):
        problems.append(f"--scope: say what the key may do, {', '.join(Scope)} or several of these between commas")
    problems += [f"--scope: {name!r} is not one of {', '.join(Scope)}" for name in names if name not in [*Scope]]
    period = _PERIOD.fullmatch(expires or "")
    if expires and period is None:
        problems.append(f"--expires: {expires!r} is no time such as 12h, 90d or 52w")
    if problems:
        raise ConfigError(*problems)
    return frozenset(map(Scope, names)), int(period[1]) * _UNITS_S[period[2]] if period else None


def _create(database: Database, name: str, scopes: frozenset[Scope], expires_s: int | None) -> None:
    """The key alone goes to the standard output, for `KEY=$(… keys create …)`."""
    now = time.time()
    key, secret = create(database, name, scopes, now=now, expires_at=None if expires_s is None else now + expires_s)
    until = f" until {day_of(key.expires_at)}" if key.expires_at else ""
    told = (
        f"the key {key.id} ({key.name}) may {' and '.join(_scopes(key))}{until}, at services with the database "
        f"{database.location}; it is shown only now: send it as `Authorization: Bearer KEY`"
    )
    print(told, file=sys.stderr)  # noqa: T201 - a message for the person who makes it
    print(secret)  # noqa: T201 - the command's answer


def _table(keys: list[ApiKey]) -> str:
    now = time.time()
    rows: list[tuple[str, ...]] = [("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATE")]
    for key in keys:
        times = (day_of(time_s) if time_s else "never" for time_s in (key.created_at, key.expires_at, key.last_used_at))
        rows.append((key.id, key.name, ",".join(_scopes(key)), *times, key.end(now) or "valid"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _scopes(key: ApiKey) -> list[str]:
    return [scope for scope in Scope if scope in key.scopes]
