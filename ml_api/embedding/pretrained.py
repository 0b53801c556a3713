"""Which files a model name means: a local directory, else the Hugging Face cache, else the hub. Imports no torch.

A cached model is used as it is, without asking the hub whether it changed: a restart never changes the vectors, and works offline.
Only safetensors weights count, as the older formats run code when they are loaded.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml_api.errors import ConfigError
from ml_api.records import ModelInfo

_ORGANISATION: Final = "sentence-transformers"
HUB_TIMEOUT_S: Final = 5.0
_WEIGHTS: Final = "*.safetensors"
FILES: Final = ("*.json", "*.txt", "*.model", _WEIGHTS)
"""Configuration, tokenizer and weights: what decides the vectors, and all that is downloaded."""
_ABOUT: Final = "training.json"
"""May lie in a local model's directory and give it a `name`. Says how the model came to be, so it is no part of the revision."""
_OF_THE_WHOLE: Final = ("modules.json", "config_sentence_transformers.json")
_OF_A_MODULE: Final = (
    *("config.json", "sentence_bert_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
"""What sentence-transformers and transformers read in a model's folder, beside its weights."""
_TOKENIZERS: Final = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("vocab.txt",), ("spiece.model",), ("tokenizer.model",))
"""Files of which one set has to be there: without them transformers makes a tokenizer up, to which all texts are the same."""
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_REVISION_DIGITS: Final = 12
_DEMO_MODEL: Final = Path(__file__).parents[2] / "demo" / "model"
"""There in a checkout only, not where the package is installed."""


@dataclass(frozen=True, slots=True)
class PretrainedModel:
    """A CLIP on this disk, known well enough to compare it with a collection without loading it."""

    name: str
    """What people call it: the configured hub name, the name a local model gives itself, or its directory's name."""
    path: Path
    """A directory that sentence-transformers can load, whatever the working directory."""
    revision: str
    """The hub's commit, or for a local directory a hash of its weights, configuration and tokenizer."""
    dim: int

    @property
    def transformer(self) -> Path:
        """The directory of the configuration, the tokenizer and the weights, in the form that transformers loads."""
        return _clip_directory(self.path)

    def info(self, device: str, precision: str) -> ModelInfo:
        return ModelInfo(self.name, self.revision, self.dim, device, precision)

    def files(self) -> list[Path]:
        """Those that loading it reads, relative to `path`."""
        return _loaded(self.path)

    @property
    def model_id(self) -> str:
        return self.info("", "").model_id


def resolve(model: str, *, hub_timeout_s: float = HUB_TIMEOUT_S) -> PretrainedModel:
    """Find `model` (a directory or a hub name), downloading it if need be. Raises ConfigError that names the ways out."""
    directory = Path(model).expanduser()
    if directory.is_dir():
        return PretrainedModel(_own_name(directory), directory.absolute(), _content_hash(directory), _dim(directory, model))
    looks_like_a_path = directory.is_absolute() or model.startswith((".", "~")) or model.count("/") > 1
    ours = directory.parts == _DEMO_MODEL.parts[-2:]  # from another working directory
    if looks_like_a_path or ours or ("/" in model and directory.parent.is_dir()):
        raise ConfigError(f"ML_API_MODEL: there is no directory {model}")
    repository = model if "/" in model else f"{_ORGANISATION}/{model}"
    path = _cached(repository) or _download(repository, model, hub_timeout_s)
    return PretrainedModel(model, path, path.name[:_REVISION_DIGITS], _dim(path, model))


def _cached(repository: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        # The patterns matter: a snapshot without the other weight formats would pass for incomplete.
        path = Path(snapshot_download(repository, allow_patterns=list(FILES), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as exc:
        raise ConfigError(f"ML_API_MODEL: {repository} is neither a directory nor a name on the Hugging Face hub") from exc
    return path if _is_complete(path) else None


def _download(repository: str, model: str, timeout_s: float) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its HTTP client, exported for who catches its errors

    try:
        # Asked first, as snapshot_download waits without limit for a hub that accepts the connection and then says nothing.
        listing = HfApi().model_info(repository, timeout=timeout_s).siblings or []
        if not any(file.rfilename.endswith(".safetensors") for file in listing):
            raise ConfigError(f"ML_API_MODEL: {repository} has no safetensors weights on the hub; other formats are not loaded")
        path = Path(snapshot_download(repository, allow_patterns=list(FILES), etag_timeout=timeout_s))
    except HfHubHTTPError as exc:
        raise ConfigError(_unavailable(model, f"the hub refuses {repository}: {_status(exc)}")) from exc
    except (httpx.HTTPError, OSError, ValueError) as exc:  # huggingface_hub lets its HTTP client's errors through
        raise ConfigError(_unavailable(model, f"the hub cannot be reached ({type(exc).__name__})")) from exc
    if not _is_complete(path):
        raise ConfigError(_unavailable(model, f"the download of {repository} is incomplete"))
    return path


def _status(exc: Any) -> str:
    code = getattr(getattr(exc, "response", None), "status_code", None)
    return "no such model, or it needs a login" if code in {401, 403, 404} else f"status {code}"


def _unavailable(model: str, reason: str) -> str:
    small = f"; or use the small model that comes with this project: ML_API_MODEL={_DEMO_MODEL}" if _DEMO_MODEL.is_dir() else ""
    return (
        f"ML_API_MODEL: {model} is not a local directory, not in the Hugging Face cache, and {reason}. "
        "Ways out: give the path of a model directory; or fill the Hugging Face cache on a connected machine "
        f"(`hf download {model if '/' in model else f'{_ORGANISATION}/{model}'}`) and set HF_HOME to its copy{small}"
    )


def _is_complete(path: Path) -> bool:
    module = _clip_directory(path)
    return (module / "config.json").is_file() and any(module.glob(_WEIGHTS)) and _has_tokenizer(module)


def _has_tokenizer(module: Path) -> bool:
    return any(all((module / name).is_file() for name in names) for names in _TOKENIZERS)


def _clip_directory(path: Path) -> Path:
    """Where the transformer lies: the first of the modules, which older models keep in a folder of its own."""
    modules = _read_json(path / "modules.json")
    return path / str(modules[0].get("path", "")) if isinstance(modules, list) and modules else path


def _dim(path: Path, model: str) -> int:
    module = _clip_directory(path)
    if not any(module.glob(_WEIGHTS)):
        raise ConfigError(f"ML_API_MODEL: {model} has no safetensors weights; other formats are not loaded")
    if not _has_tokenizer(module):
        raise ConfigError(f"ML_API_MODEL: {model} has no tokenizer (tokenizer.json, or vocab.json and merges.txt) in {module}")
    config = _read_json(module / "config.json")
    dim = _width(config) if isinstance(config, dict) else None
    if dim is None or "vision_config" not in config:
        raise ConfigError(f"ML_API_MODEL: {model} is not a CLIP: it does not embed both text and images into one space")
    return dim


def _width(config: dict[str, Any]) -> int | None:
    """Of the vectors: CLIP's `projection_dim`; SigLIP has none: the width of its text head or hidden layers (768 by default).

    What loading finds is compared with it.
    """
    text = config.get("text_config")
    if str(config.get("model_type", "")).startswith("siglip") and isinstance(text, dict):
        dim = text.get("projection_size") or text.get("hidden_size", 768)
    else:
        dim = config.get("projection_dim")
    return dim if isinstance(dim, int) else None


def _own_name(directory: Path) -> str:
    about = _read_json(directory / _ABOUT)
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) and name else directory.resolve().name


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise ConfigError(f"ML_API_MODEL: {path} is not valid JSON") from exc


def _content_hash(directory: Path) -> str:
    """Of what decides the vectors, by relative path, so that a copy in another place is the same model and notes are no part."""
    total = hashlib.sha256()
    for file in _loaded(directory):
        with (directory / file).open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.as_posix()}\0{digest}\n".encode())
    return total.hexdigest()[:_REVISION_DIGITS]


def _loaded(directory: Path) -> list[Path]:
    """The files that loading a model reads, relative to its directory; links are followed, as the libraries follow them."""
    modules = _read_json(directory / "modules.json")
    folders = [Path(str(module.get("path", ""))) for module in modules] if isinstance(modules, list) and modules else [Path()]
    names = {Path(name) for name in _OF_THE_WHOLE}
    names |= {folder / name for folder in folders for name in (*_OF_A_MODULE, *_weights(directory / folder))}
    return sorted(name for name in names if (directory / name).is_file())


def _weights(folder: Path) -> tuple[str, ...]:
    """One file, or an index and the parts that it names."""
    index = _read_json(folder / _INDEX)
    if (folder / _SINGLE).is_file() or not isinstance(index, dict):
        return (_SINGLE,)
    return (_INDEX, *sorted(set(map(str, index.get("weight_map", {}).values()))))
