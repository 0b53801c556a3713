"""Keeps converted models on disk for `OpenVinoEncoder`, and starts a process that converts those that are missing.

Converting takes torch, seconds, and several times the weights' memory, all of which ends with that process. A folder gets its final
name only when it is complete.
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
"""Number format of the weights on disk. float16 is more exact than bfloat16, in half of float32's space; whether its range suffices
for a model's weights is checked when it is converted."""

FORMAT: Final = 2
"""The version of the folders' layout: files of another version are converted again."""
CONVERT_TIMEOUT_S: Final = 1800.0
"""Time limit of a conversion; a large model from a slow disk takes minutes."""
_PROGRAM: Final = "ml_api.embedding.openvino.conversion"
_ROOT: Final = Path(__file__).parents[3]
"""The directory that contains this package: the working directory of the program, so that it imports the same one."""
_COMPLETE: Final = "complete.json"
_LOCK: Final = "lock"
_LOOK_EVERY_S: Final = 0.1

_log = logging.getLogger(__name__)


class NotConverted(Exception):
    """The model cannot be converted, or the result computes other vectors; the message says why."""


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """What to convert: the input of the converting process, as JSON on its standard input."""

    pretrained: PretrainedModel
    stored: Stored
    target: Path
    """An empty folder."""


@dataclass(frozen=True, slots=True)
class ConversionOutcome:
    """The answer of the converting process, as JSON on its standard output; all fields are empty if the model was converted."""

    problems: tuple[str, ...] = ()
    """The problems of a ConfigError: the model cannot be used at all."""
    reason: str = ""
    """Why only torch can compute the model."""


REQUESTS: Final = TypeAdapter(ConversionRequest)
OUTCOMES: Final = TypeAdapter(ConversionOutcome)
"""Both convert to and from JSON."""


def convert_apart(request: ConversionRequest) -> ConversionOutcome:
    """Convert in a separate process, so that torch and its memory are gone afterwards. Raises NotConverted."""
    command = [sys.executable, "-W", "ignore", "-m", _PROGRAM, str(os.getpid())]
    try:
        ran = subprocess.run(  # noqa: S603 - this program itself
            command,
            cwd=_ROOT,
            input=REQUESTS.dump_json(request),
            capture_output=True,
            timeout=CONVERT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise NotConverted(f"the conversion took longer than {CONVERT_TIMEOUT_S:g} s") from exc
    answer = ran.stdout.splitlines()
    if ran.returncode or not answer:
        errors = ran.stderr.decode(errors="replace").strip().splitlines()
        raise NotConverted(f"the conversion ended with code {ran.returncode}: {errors[-1] if errors else 'it said nothing'}")
    return OUTCOMES.validate_json(answer[-1])


@dataclass(frozen=True, slots=True)
class ConvertedFiles:
    """The converted files of any number of models, in `folder`. It may be deleted at any time; models are then converted again."""

    folder: Path
    convert: Callable[[ConversionRequest], ConversionOutcome] = convert_apart
    """Raises NotConverted."""

    def find(self, pretrained: PretrainedModel, stored: Stored) -> Path:
        """Return the folder of a model's converted files; convert the model if there is none. Raises ConfigError, NotConverted.

        With a text encoder beside the model the folder holds only the text encoder, and the preprocessing of both: images are
        embedded with the files of the model without the text encoder.
        """
        wanted, modalities = self.folder / _name(pretrained, stored), converted(pretrained)
        if not _is_complete(wanted, modalities):
            with self._alone():
                if not _is_complete(wanted, modalities):  # nobody else has made it meanwhile
                    self._make(pretrained, stored, wanted)
        return wanted

    def discard(self, pretrained: PretrainedModel, stored: Stored) -> None:
        """Delete files that cannot be loaded, also those of the model without the text encoder beside it."""
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
                outcome = self.convert(ConversionRequest(pretrained, stored, making))
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
        """Hold the folder's lock, so that of a sync and a service that start together, one converts and the other waits for it."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as exc:
            raise self._refused(exc) from exc
        with lock:
            _lock(lock)
            yield

    def _refused(self, exc: OSError) -> NotConverted:
        """The error for a folder that cannot be written, most likely because a sync that ran as root created it."""
        problem = f"{self.folder} cannot be written ({exc.strerror})"
        if isinstance(exc, PermissionError):
            inside = Path(exc.filename or self.folder)
            paths = [self.folder, *([inside.parent, inside] if self.folder in inside.parents else [])]
            problem = next(filter(None, (access_problem(path, self.folder) for path in paths)), problem)
        return NotConverted(f"{problem}. That folder, in ML_API_DATA_DIR, may be deleted: it is made anew")


def _lock(file: IO[str]) -> None:
    """Wait for the lock. Raises NotConverted if another process holds it for CONVERT_TIMEOUT_S."""
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
    """The modalities that the folder of `pretrained` has files for."""
    return MODALITIES if pretrained.text is None else ("text",)


def _name(pretrained: PretrainedModel, stored: Stored) -> str:
    models = [pretrained, pretrained.text] if pretrained.text else [pretrained]
    named = "-".join(f"{_readable(model.name)}-{model.revision}" for model in models)
    return f"{named}-{stored}-{version('openvino')}-{FORMAT}"


def _readable(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name)[:60].strip("-")


def _seal(folder: Path) -> None:
    """Write the digests of the folder's files, and flush all files to disk."""
    (folder / _COMPLETE).write_text(json.dumps({file.name: _sha256(file) for file in folder.iterdir()}), encoding="utf-8")
    for file in folder.iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_complete(folder: Path, modalities: tuple[Modality, ...]) -> bool:
    """Whether all files are there, with the digests they were written with: weights with flipped bits load, and give wrong
    vectors."""
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
