"""Writes a model repository for Triton: configuration, weights, and the code that computes with them. The command
`triton-repository` calls it.

This package need not be installed on the server: its Python needs torch and sentence-transformers.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ml_api.embedding.pretrained import PretrainedModel
from ml_api.embedding.triton import wire
from ml_api.errors import ConfigError
from ml_api.vocabulary import MODALITIES, Modality

PACKAGE: Final = Path(__file__).parents[2]
CODE: Final = (
    *("__init__.py", "errors", "records.py", "vocabulary.py"),
    *("embedding/__init__.py", "embedding/base.py", "embedding/precision.py", "embedding/splitting.py"),
    *("embedding/clip", "embedding/preprocessing.py", "embedding/pretrained"),
    *("embedding/triton/__init__.py", "embedding/triton/wire.py"),
    "images/fit.py",  # alone: the package around it imports every decoder
)
"""The modules that `serving` imports, directly or indirectly. A test keeps the list complete."""
SERVING: Final = PACKAGE / "embedding/triton/serving.py"
QUEUE_LIMIT: Final = 1024
"""Requests that may wait on the server, each with up to a batch of inputs. Replicas send a few at a time."""

InstanceKind = Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU"]


@dataclass(frozen=True, slots=True)
class Served:
    """How the server is to run a model. With `precision` "auto" the server's hardware decides, not this machine's."""

    name: str
    kind: InstanceKind
    precision: str


def write_repository(folder: Path, pretrained: PretrainedModel, image_edge_px: int, served: Served) -> list[Path]:
    """Add the two models of `served` to `folder` and return their folders. Raises ConfigError if one is there already."""
    targets = {modality: folder / wire.model_name(served.name, modality) for modality in MODALITIES}
    for target in targets.values():
        if target.exists():
            raise ConfigError(f"{target} exists; remove it, or choose another folder, or another name in ML_API_EMBEDDING_URL")
    for modality, target in targets.items():
        version = target / "1"
        _copy_code(version)
        _copy_weights(pretrained, version / wire.CLIP_FOLDER)
        if pretrained.text and modality == "text":
            _copy_weights(pretrained.text, version / wire.TEXT_FOLDER)
        # Written last: Triton ignores a folder without it, so a server that polls never loads half a model.
        (target / "config.pbtxt").write_text(config(modality, pretrained, image_edge_px, served), encoding="utf-8")
    return list(targets.values())


def _copy_code(version: Path) -> None:
    for name in CODE:
        source, target = PACKAGE / name, version / PACKAGE.name / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    shutil.copyfile(SERVING, version / "model.py")


def _copy_weights(pretrained: PretrainedModel, folder: Path) -> None:
    for file in pretrained.files():
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pretrained.path / file, target)  # also where the hub's cache has a link


def config(modality: Modality, pretrained: PretrainedModel, image_edge_px: int, served: Served) -> str:
    """The content of `config.pbtxt`; see Triton's model_config.proto."""
    ragged = "allow_ragged_batch: true"  # texts of different lengths share a pass; ClipEncoder pads them
    inputs = (
        [f'{{ name: "{wire.PIXEL_VALUES}" data_type: TYPE_FP32 dims: [ 3, {image_edge_px}, {image_edge_px} ] }}']
        if modality == "image"
        else [f'{{ name: "{name}" data_type: TYPE_INT64 dims: [ -1 ] {ragged} }}' for name in wire.input_names("text")]
    )
    listed = ",\n  ".join(inputs)
    return f"""\
# Written by `python -m ml_api triton-repository`.
name: {json.dumps(wire.model_name(served.name, modality))}
backend: "python"
max_batch_size: {wire.MAX_BATCH}
input [
  {listed}
]
output [
  {{ name: "{wire.EMBEDDING}" data_type: TYPE_FP32 dims: [ {pretrained.dim} ] }},
  {{ name: "{wire.ABOUT}" data_type: TYPE_UINT8 dims: [ -1 ] }}
]
instance_group [ {{ count: 1 kind: {served.kind} }} ]
# Requests that wait are batched, without a delay for filling a batch: the next batch gathers while a pass runs.
dynamic_batching {{
  max_queue_delay_microseconds: 0
  default_queue_policy {{
    timeout_action: REJECT
    default_timeout_microseconds: {int(wire.TIMEOUT_S * 1e6)}
    max_queue_size: {QUEUE_LIMIT}
  }}
}}
parameters {{ key: "{wire.MODEL_ID}" value {{ string_value: {json.dumps(wire.embeds(pretrained, modality).model_id)} }} }}
parameters {{ key: "precision" value {{ string_value: "{served.precision}" }} }}
"""
