"""Files that others read while they are written."""

import tempfile
from pathlib import Path
from typing import Final

TEMPORARY: Final = "tmp"
"""What the names of files begin with that are not whole yet: of a process that was killed, such a file is left."""


def write_whole(path: Path, data: bytes) -> None:
    """All or nothing, for this user alone: a full disk keeps no beginning, not even an empty file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is no path
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
