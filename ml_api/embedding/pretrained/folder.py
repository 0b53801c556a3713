"""Reads a model's directory without loading the model: its modules, missing files, the dimension of its vectors, its content hash.

Only safetensors weights are accepted, as the older formats run code when they are loaded.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILES: Final = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Configuration, tokenizer and weights: the files that decide the vectors; only these are downloaded."""
REVISION_DIGITS: Final = 12
_ABOUT: Final = "training.json"
"""A file that says how a local model was trained, and may give it a `name`. It is not part of the revision."""
_MODULES: Final = "modules.json"
_OF_THE_WHOLE: Final = (_MODULES, "config_sentence_transformers.json")
_KINDS: Final = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
_PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
"""A model of images needs one of these: the older form, or the one that transformers writes today."""
_OF_A_MODULE: Final = (
    *("config.json", *_PROCESSORS, *(f"sentence_{kind}_config.json" for kind in _KINDS)),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"),
)
"""What sentence-transformers and transformers read in a model's folder, beside its weights."""
_TOKENIZERS: Final = (
    *(("tokenizer.json",), ("vocab.json", "merges.txt"), ("vocab.txt",)),
    *(("spiece.model",), ("sentencepiece.bpe.model",), ("tokenizer.model",)),
)
"""Sets of files, one of which a model needs: without them transformers makes up a tokenizer that reads all texts alike."""
_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_WITHOUT_WEIGHTS: Final = ("Pooling", "Normalize", "Dropout")
"""Modules of sentence-transformers that have no weights."""
_NAFLEX: Final = "siglip2"
"""The `model_type` of SigLIP 2 of variable resolution; that of fixed resolution is `siglip`."""
_TORCHS: Final = "torch."
_POOLING_MODES: Final = "pooling_mode_"
"""Prefix of the boolean settings by which older models name their pooling."""


class Unusable(Exception):
    """A directory has no model that can be served. The message says why; it continues a sentence that begins with the model's
    name."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module of a model, as listed in `modules.json`."""

    kind: str
    """The name of its class in sentence-transformers."""
    folder: Path
    """Relative to the model's directory."""


def modules(path: Path) -> list[Module]:
    """The modules of a model; a single Transformer if it has no `modules.json`. Raises Unusable for a malformed one."""
    listed = _read_json(path / _MODULES)
    if not isinstance(listed, list) or not listed:
        return [Module("Transformer", Path())]
    if not all(isinstance(module, dict) for module in listed):
        raise Unusable(f"cannot be read: {path / _MODULES} is not a list of modules")
    return [Module(str(module.get("type", "")).rpartition(".")[2], _within(path, module.get("path", ""))) for module in listed]


def transformer(path: Path) -> Path:
    """The directory of the transformer, which is the first module; older models keep it in a subdirectory."""
    return path / modules(path)[0].folder


def lacking(path: Path) -> str:
    """Describe a missing file that loading needs, or would replace by made-up values; "" if none is missing. Raises Unusable."""
    first = transformer(path)
    if not (first / "config.json").is_file():
        return f"no config.json in {first}"
    if not any(all((first / name).is_file() for name in names) for names in _TOKENIZERS):
        return f"no tokenizer (tokenizer.json, or vocab.json and merges.txt) in {first}"
    if "vision_config" in _config(first) and not any((first / name).is_file() for name in _PROCESSORS):
        return f"no image processor ({_PROCESSORS[0]}) in {first}"
    for module in modules(path):
        held = path / module.folder
        if module.kind not in _WITHOUT_WEIGHTS and not all((held / name).is_file() for name in _weights(held)):
            return f"no safetensors weights in {held}; other formats are not loaded"
    return ""


def dual_encoder_dim(path: Path) -> int:
    """The dimension of a CLIP's vectors. Raises Unusable for a model that does not embed both text and images into one space."""
    config = _config(transformer(path))
    if config.get("model_type") == _NAFLEX:
        raise Unusable("sees images in their own resolution (NaFlex), which is not supported; use a model of fixed resolution")
    dim = _projection(config)
    if dim is None or "vision_config" not in config:
        raise Unusable(
            "is not a CLIP: it does not embed both text and images into one space. "
            "A text encoder goes into ML_API_TEXT_MODEL, beside the image model in ML_API_MODEL"
        )
    return dim


def _projection(config: dict[str, Any]) -> int | None:
    """CLIP's `projection_dim`; for SigLIP, which has none, the width of its text head or hidden layers (768 by default).

    It is checked when the model is loaded.
    """
    text = config.get("text_config")
    if str(config.get("model_type", "")).startswith("siglip") and isinstance(text, dict):
        dim = text.get("projection_size") or text.get("hidden_size", 768)
    else:
        dim = config.get("projection_dim")
    return dim if isinstance(dim, int) else None


def text_encoder_dim(path: Path) -> int:
    """The dimension of a text encoder's vectors. Raises Unusable for anything but a transformer with modules that pool its tokens
    into one vector."""
    if not (path / _MODULES).is_file():
        raise Unusable(f"is no model of sentence-transformers: no {_MODULES} says how its tokens become one vector")
    first, *others = modules(path)
    if first.kind == "CLIPModel" or "vision_config" in _config(path / first.folder):
        raise Unusable("embeds images, too; such a model goes into ML_API_MODEL")
    if first.kind != "Transformer":
        raise Unusable(f"begins with {first.kind}; text encoders are served that begin with a Transformer")
    for module in others:
        activation = str(_config(path / module.folder).get("activation_function", _TORCHS))
        if not activation.startswith(_TORCHS):  # the library would take tanh instead, with no more than a warning
            raise Unusable(f"asks for the activation {activation} in {module.folder}: code of its own, which is not loaded")
    widths = (_output(module.kind, _config(path / module.folder)) for module in reversed(others))
    dim = next((width for width in widths if width is not None), None)
    if dim is None:
        raise Unusable("does not pool its tokens into one vector: it has neither Pooling nor Dense")
    return dim


def _output(kind: str, config: dict[str, Any]) -> int | None:
    """The dimension of a module's output; None if it is that of its input."""
    if kind == "Dense":
        return _width(kind, config.get("out_features"))
    if kind == "Pooling":
        modes = config.get("pooling_mode") or [name for name in config if name.startswith(_POOLING_MODES) and config[name]]
        width = _width(kind, config.get("embedding_dimension") or config.get("word_embedding_dimension"))
        return width * (max(1, len(modes)) if isinstance(modes, list) else 1)
    return None


def _width(kind: str, configured: object) -> int:
    if not isinstance(configured, int) or configured < 1:
        raise Unusable(
            f"does not say how wide its vectors are: the configuration of its {kind} has {configured!r} instead of a number"
        )
    return configured


def own_name(path: Path) -> str:
    about = _read_json(path / _ABOUT)
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) and name else path.resolve().name


def content_hash(path: Path) -> str:
    """A hash of the files that decide the vectors, with their relative paths: a copy elsewhere has the same hash, and other files
    do not matter."""
    total = hashlib.sha256()
    for file in loaded(path):
        with (path / file).open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.as_posix()}\0{digest}\n".encode())
    return total.hexdigest()[:REVISION_DIGITS]


def loaded(path: Path) -> list[Path]:
    """The files that loading a model reads, relative to its directory; links are followed, as the libraries follow them."""
    names = {Path(name) for name in _OF_THE_WHOLE}
    for module in modules(path):
        names |= {module.folder / name for name in (*_OF_A_MODULE, *_weights(path / module.folder))}
    return sorted(name for name in names if (path / name).is_file())


def _weights(folder: Path) -> tuple[str, ...]:
    """The names of the weight files: a single one, or an index and the parts that it lists."""
    index = _read_json(folder / _INDEX)
    parts = index.get("weight_map") if isinstance(index, dict) else None
    if (folder / _SINGLE).is_file() or not isinstance(parts, dict):
        return (_SINGLE,)
    return (_INDEX, *sorted({str(_within(folder, name)) for name in parts.values()}))


def _within(folder: Path, name: object) -> Path:
    """A relative path that a model's own file names. Raises Unusable for one that leads out of the model."""
    path = Path(str(name))
    if path.is_absolute() or ".." in path.parts:
        raise Unusable(f"cannot be read: a file in {folder} names {path}, which is outside of it")
    return path


def _config(folder: Path) -> dict[str, Any]:
    config = _read_json(folder / "config.json")
    return config if isinstance(config, dict) else {}


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as exc:
        raise Unusable(f"cannot be read: {path} is not valid JSON") from exc
    except OSError as exc:
        raise Unusable(f"cannot be read: {path}: {exc.strerror}") from exc
