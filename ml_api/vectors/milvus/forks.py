"""Open Milvus Lite folders across `os.fork`: the child must touch none of them."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    def pause_for_fork(self) -> bool: ...

    def resume_after_fork(self) -> None: ...

    def abandon_in_child(self) -> None: ...


class _Guard:
    """What is open in this process. One for the process, as forking is."""

    def __init__(self) -> None:
        self._open: WeakSet[Forkable] = WeakSet()
        self._paused: list[Forkable] = []
        self._registered = False

    def add(self, access: Forkable) -> None:
        if not self._registered:
            os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)
            self._registered = True
        self._open.add(access)

    def remove(self, access: Forkable) -> None:
        self._open.discard(access)

    def _before(self) -> None:
        self._paused = [access for access in list(self._open) if access.pause_for_fork()]

    def _in_parent(self) -> None:
        for access in self._paused:
            access.resume_after_fork()
        self._paused = []

    def _in_child(self) -> None:
        for access in list(self._open):
            access.abandon_in_child()
        self._open.clear()
        self._in_parent()


_guard = _Guard()
guard = _guard.add
unguard = _guard.remove


def close_inherited(path: Path) -> None:
    """Close this process's descriptors of a file. A lock (`flock`) is held until the last process that inherited it has done so."""
    with suppress(FileNotFoundError):
        wanted = path.stat()
        for descriptor in [int(entry.name) for entry in Path("/dev/fd").iterdir()]:
            with suppress(OSError):  # the descriptor of the listing itself is closed by now
                if os.path.samestat(os.fstat(descriptor), wanted):
                    os.close(descriptor)
