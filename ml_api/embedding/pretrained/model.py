"""Describes a model on disk, so that it can be compared with a collection's without loading it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ml_api.embedding.pretrained import folder
from ml_api.errors import ConfigError
from ml_api.records import ModelInfo

Kind = Literal["dual", "text"]
"""A dual encoder embeds text and images; a text encoder embeds text into the space of a dual encoder's images."""
SETTINGS: Final[Mapping[Kind, str]] = {"dual": "ML_API_MODEL", "text": "ML_API_TEXT_MODEL"}


@dataclass(frozen=True, slots=True)
class PretrainedModel:
    """A dual encoder, optionally with a text encoder beside it; or that text encoder itself."""

    name: str
    """The configured hub name, the name in a local model's files, or the name of its directory."""
    path: Path
    """A directory that sentence-transformers can load, whatever the working directory."""
    revision: str
    """The hub's commit, or for a local directory a hash of its weights, configuration and tokenizer."""
    dim: int
    kind: Kind = "dual"
    text: "PretrainedModel | None" = None
    """Another model that embeds the texts, in place of this one's own text encoder."""

    @property
    def transformer(self) -> Path:
        """The directory of the configuration, the tokenizer and the weights, in the form that transformers loads."""
        return folder.transformer(self.path)

    def files(self) -> list[Path]:
        """The files that loading this model reads, relative to `path`; without those of `text`."""
        return folder.loaded(self.path)

    @property
    def model_id(self) -> str:
        """Identifies the model that makes the stored vectors, which are of images; `text` is not part of it."""
        return self.info("", "").model_id

    def info(self, device: str, precision: str) -> ModelInfo:
        text_model = self.text.model_id if self.text else ""
        return ModelInfo(self.name, self.revision, self.dim, device, precision, text_model)

    @property
    def setting(self) -> str:
        """The setting that names this model."""
        return SETTINGS[self.kind]

    def refused(self, problem: str) -> ConfigError:
        """The error for a model that cannot be used. `problem` continues after its name: "lacks some of its weights"."""
        return ConfigError(f"{self.setting}: {self.name} {problem}")
