"""Converted models on disk: found, made by a process of their own where they are not, never half there.

Converting takes torch, seconds, and memory for the weights several times over; all of that ends with the process that does it.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import IO, Final, Literal

from pydantic import TypeAdapter

from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError
from ml_api.files import access_problem
from ml_api.vocabulary import MODALITIES, Modality

Stored = Literal["fp32", "fp16"]
"""Numbers in which weights lie on disk. float16 tells more apart than bfloat16, in half of float32's space; that its range holds a
model's weights is checked when it is converted."""

FORMAT: Final = 2
"""The version of folders of converted files: those of another one are made anew."""
CONVERT_TIMEOUT_S: Final = 1800.0
"""Longest that a conversion may take; a large model from a slow disk takes minutes."""
_PROGRAM: Final = "ml_api.embedding.openvino.conversion"
_ROOT: Final = Path(__file__).parents[3]
"""Where Python finds this package, so that it finds the same one again."""
_COMPLETE: Final = "complete.json"
_LOCK: Final = "lock"
_LOOK_EVERY_S: Final = 0.1

_log = logging.getLogger(__name__)


class NotConverted(Exception):
    """The model cannot be converted, or what came out is not the same model; says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the process that converts is told, as JSON on its standard input."""

    pretrained: PretrainedModel
    stored: Stored
    target: Path
    """An empty folder."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it answers, as JSON on its standard output; all empty if the model was converted."""

    problems: tuple[str, ...] = ()
    """The problems of a ConfigError: the model cannot be used at all."""
    reason: str = ""
    """Why only torch can compute it."""


ORDERS: Final = TypeAdapter(Order)
OUTCOMES: Final = TypeAdapter(Outcome)
"""To JSON and back."""


def convert_apart(order: Order) -> Outcome:
    """In a process of its own: torch, and what it takes of memory, goes with it. Raises NotConverted."""
    command = [sys.executable, "-W", "ignore", "-m", _PROGRAM, str(os.getpid())]
    try:
        ran = subprocess.run(  # noqa: S603 - this program itself
            command,
            cwd=_ROOT,
            input=ORDERS.dump_json(order),
            capture_output=True,
            timeout=CONVERT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise NotConverted(f"the conversion took longer than {CONVERT_TIMEOUT_S:g} s") from exc
    answer = ran.stdout.splitlines()
    if ran.returncode or not answer:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise NotConverted(f"the conversion ended with code {ran.returncode}: {said[-1] if said else 'it said nothing'}")
    return OUTCOMES.validate_json(answer[-1])


@dataclass(frozen=True, slots=True)
class ConvertedFiles:
    """Converted files of any number of models, in `folder`. It may be deleted at any time: they are made again."""

    folder: Path
    convert: Callable[[Order], Outcome] = convert_apart
    """Raises NotConverted."""

    def find(self, pretrained: PretrainedModel, stored: Stored) -> Path:
        """The folder of a model's converted files, which are made if need be. Raises ConfigError, NotConverted.

        With a text encoder beside the model the folder holds that one alone, and what prepares inputs for both: images are
        embedded by the files of the model without it.
        """
        wanted, modalities = self.folder / _name(pretrained, stored), converted(pretrained)
        if not _is_complete(wanted, modalities):
            with self._alone():
                if not _is_complete(wanted, modalities):  # nobody else has made it meanwhile
                    self._make(pretrained, stored, wanted)
        return wanted

    def discard(self, pretrained: PretrainedModel, stored: Stored) -> None:
        """What cannot be read after all, also of the model without the text encoder beside it."""
        for model in (pretrained, replace(pretrained, text=None)):
            shutil.rmtree(self.folder / _name(model, stored), ignore_errors=True)

    def _make(self, pretrained: PretrainedModel, stored: Stored, wanted: Path) -> None:
        started = perf_counter()
        name = (pretrained.text or pretrained).name
        _log.info("converting %s for OpenVINO; this is done once, and may take a minute", name)
        try:
            for left in self.folder.glob(f"{wanted.name}*"):  # of one that was interrupted, or damaged
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix=f"{wanted.name}.", dir=self.folder) as made:
                making = Path(made) / "model"
                making.mkdir(mode=0o700)
                outcome = self.convert(Order(pretrained, stored, making))
                if outcome.problems:
                    raise ConfigError(*outcome.problems)
                if outcome.reason:
                    raise NotConverted(outcome.reason)
                _seal(making)
                making.rename(wanted)
        except OSError as exc:
            raise self._refused(exc) from exc
        _log.info("converted in %.1f s", perf_counter() - started)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While a sync and a service start together, one converts and the other waits for it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as exc:
            raise self._refused(exc) from exc
        with lock:
            _lock(lock)
            yield

    def _refused(self, exc: OSError) -> NotConverted:
        """Most likely by what a sync that root ran left there."""
        problem = f"{self.folder} cannot be written ({exc.strerror})"
        if isinstance(exc, PermissionError):
            inside = Path(exc.filename or self.folder)
            paths = [self.folder, *([inside.parent, inside] if self.folder in inside.parents else [])]
            problem = next(filter(None, (access_problem(path, self.folder) for path in paths)), problem)
        return NotConverted(f"{problem}. That folder, in ML_API_DATA_DIR, may be deleted: it is made anew")


def _lock(file: IO[str]) -> None:
    """Raises NotConverted if whoever holds it does not come to an end."""
    give_up_at = monotonic() + CONVERT_TIMEOUT_S
    is_told = False
    while monotonic() < give_up_at:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_told:
                _log.info("another process converts a model; waiting for it")
                is_told = True
            sleep(_LOOK_EVERY_S)
        else:
            return
    raise NotConverted(f"another process has held {file.name} for {CONVERT_TIMEOUT_S:g} s")


def converted(pretrained: PretrainedModel) -> tuple[Modality, ...]:
    """The modalities whose files the folder of `pretrained` holds."""
    return MODALITIES if pretrained.text is None else ("text",)


def _name(pretrained: PretrainedModel, stored: Stored) -> str:
    models = [pretrained, pretrained.text] if pretrained.text else [pretrained]
    named = "-".join(f"{_readable(model.name)}-{model.revision}" for model in models)
    return f"{named}-{stored}-{version('openvino')}-{FORMAT}"


def _readable(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name)[:60].strip("-")


def _seal(folder: Path) -> None:
    """Write down what belongs to it, and bring all of it to the disk."""
    (folder / _COMPLETE).write_text(json.dumps({file.name: _sha256(file) for file in folder.iterdir()}), encoding="utf-8")
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_complete(folder: Path, modalities: tuple[Modality, ...]) -> bool:
    """Whether all is there as it was written: weights of which some bits are others give vectors, only wrong ones."""
    try:
        digests = json.loads((folder / _COMPLETE).read_text(encoding="utf-8"))
        return (
            isinstance(digests, dict)
            and {f"{modality}.xml" for modality in modalities} <= digests.keys()
            and all(_sha256(folder / name) == digest for name, digest in digests.items())
        )
    except (OSError, ValueError):
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
