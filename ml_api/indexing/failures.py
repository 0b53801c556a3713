"""Files that could not be indexed, stored between syncs: the same bytes under the same limits fail again.

Kept in a small file, written whole or not at all. Losing it costs another look at those files, and nothing else.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path

from ml_api.files import write_whole

_log = logging.getLogger(__name__)


class Failures:
    """By key, the file's version and why it failed. They hold for the limits and decoders in `made_with` only.

    Without a `path` they are forgotten with the process.
    """

    def __init__(self, path: Path | None = None, made_with: str = "") -> None:
        self._path = path
        self._made_with = made_with
        self._known: dict[str, tuple[str, str]] = _read(path, made_with) if path is not None else {}

    def reason(self, key: str, version: str) -> str | None:
        """The stored reason why this version of the file cannot be indexed, if any."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] == version else None

    def note(self, key: str, version: str, reason: str) -> None:
        self._known[key] = (version, reason)

    def keep(self, still: Callable[[str], bool]) -> None:
        """Forget files that no longer exist."""
        self._known = {key: known for key, known in self._known.items() if still(key)}

    def save(self) -> None:
        if self._path is None:
            return
        content = {"made_with": self._made_with, "failures": self._known}
        try:
            write_whole(self._path, json.dumps(content).encode())
        except OSError as exc:
            _log.warning("what failed cannot be remembered in %s: %s", self._path, exc.strerror)


def _read(path: Path, made_with: str) -> dict[str, tuple[str, str]]:
    try:
        content = json.loads(path.read_text())
        if content["made_with"] != made_with:
            return {}
        return {str(key): (str(version), str(reason)) for key, (version, reason) in content["failures"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        _log.warning("what failed before cannot be read from %s: %s", path, type(exc).__name__)
        return {}
