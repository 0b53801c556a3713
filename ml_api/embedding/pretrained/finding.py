"""Resolves a model name to files: in a local directory, else in the Hugging Face cache, else downloaded from the hub.

A cached model is used as it is, without asking the hub for a newer version: a restart never changes the vectors, and works offline.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ml_api.embedding.pretrained import folder
from ml_api.embedding.pretrained.folder import FILES, REVISION_DIGITS, Unusable
from ml_api.embedding.pretrained.model import SETTINGS, Kind, PretrainedModel
from ml_api.errors import ConfigError

HUB_TIMEOUT_S: Final = 5.0
_ORGANISATION: Final = "sentence-transformers"
_DEMO_MODEL: Final = Path(__file__).parents[3] / "demo" / "model"
"""It exists in a checkout only, not where the package is installed."""


def resolve(model: str, text_model: str = "", *, hub_timeout_s: float = HUB_TIMEOUT_S) -> PretrainedModel:
    """Find `model` (a directory or a hub name), downloading it if need be, and the text encoder beside it, if one is named.

    Raises ConfigError that names the ways out, also for a text encoder whose vectors are of another width than the model's.
    """
    dual = _find(_Lookup("dual", model, hub_timeout_s))
    if not text_model:
        return dual
    text = _find(_Lookup("text", text_model, hub_timeout_s))
    if text.dim != dual.dim:
        raise text.refused(
            f"makes vectors of {text.dim} numbers, and {dual.name}, the model in {SETTINGS['dual']}, of {dual.dim}: "
            "a text encoder has to be one that was trained for that model's space"
        )
    return replace(dual, text=text)


@dataclass(frozen=True, slots=True)
class _Lookup:
    kind: Kind
    name: str
    hub_timeout_s: float

    @property
    def repository(self) -> str:
        return self.name if "/" in self.name else f"{_ORGANISATION}/{self.name}"

    def refused(self, problem: str) -> ConfigError:
        return ConfigError(f"{SETTINGS[self.kind]}: {problem}")

    def unavailable(self, reason: str) -> ConfigError:
        setting = SETTINGS[self.kind]
        has_small = self.kind == "dual" and _DEMO_MODEL.is_dir()
        small = f"; or use the small model that comes with this project: {setting}={_DEMO_MODEL}" if has_small else ""
        return self.refused(
            f"{self.name} is not a local directory, not in the Hugging Face cache, and {reason}. "
            "Ways out: give the path of a model directory; or fill the Hugging Face cache on a connected machine "
            f"(`hf download {self.repository}`) and set HF_HOME to its copy{small}"
        )


def _find(lookup: _Lookup) -> PretrainedModel:
    try:
        directory = _directory(lookup)
        if directory is not None:
            return _described(lookup, folder.own_name(directory), directory, folder.content_hash(directory))
        path = _cached(lookup) or _download(lookup)
        return _described(lookup, lookup.name, path, path.name[:REVISION_DIGITS])
    except Unusable as exc:
        raise lookup.refused(f"{lookup.name} {exc}") from exc


def _directory(lookup: _Lookup) -> Path | None:
    """The directory that the name is the path of; None for a name on the hub. Raises ConfigError for a path without a directory."""
    model, directory = lookup.name, Path(lookup.name).expanduser()
    if directory.is_dir():
        return directory.absolute()
    looks_like_a_path = directory.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    is_demo = directory.parts == _DEMO_MODEL.parts[-2:]  # from another working directory
    if looks_like_a_path or is_demo or ("/" in model and directory.parent.is_dir()):
        raise lookup.refused(f"there is no directory {model}")
    return None


def _described(lookup: _Lookup, name: str, path: Path, revision: str) -> PretrainedModel:
    """Raises Unusable."""
    dim = folder.text_encoder_dim(path) if lookup.kind == "text" else folder.dual_encoder_dim(path)
    if lack := folder.lacking(path):
        raise Unusable(f"has {lack}")
    return PretrainedModel(name, path, revision, dim, lookup.kind)


def _cached(lookup: _Lookup) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        # The patterns matter: a snapshot without the other weight formats would pass for incomplete.
        path = Path(snapshot_download(lookup.repository, allow_patterns=list(FILES), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as exc:
        raise lookup.refused(f"{lookup.repository} is neither a directory nor a name on the Hugging Face hub") from exc
    return None if folder.lacking(path) else path


def _download(lookup: _Lookup) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its HTTP client, exported for callers that catch its errors

    repository, timeout_s = lookup.repository, lookup.hub_timeout_s
    try:
        # Asked first, as snapshot_download waits without limit for a hub that accepts the connection and then says nothing.
        listing = HfApi().model_info(repository, timeout=timeout_s).siblings or []
        if not any(file.rfilename.endswith(".safetensors") for file in listing):
            raise lookup.refused(f"{repository} has no safetensors weights on the hub; other formats are not loaded")
        path = Path(snapshot_download(repository, allow_patterns=list(FILES), etag_timeout=timeout_s))
    except HfHubHTTPError as exc:
        raise lookup.unavailable(f"the hub refuses {repository}: {_status(exc)}") from exc
    except (httpx.HTTPError, OSError, ValueError) as exc:  # huggingface_hub lets its HTTP client's errors through
        raise lookup.unavailable(f"the hub cannot be reached ({type(exc).__name__})") from exc
    if lack := folder.lacking(path):
        raise lookup.unavailable(f"the download of {repository} has {lack}")
    return path


def _status(exc: Any) -> str:
    code = getattr(getattr(exc, "response", None), "status_code", None)
    return "no such model, or it needs a login" if code in {401, 403, 404} else f"status {code}"
