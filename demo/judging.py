"""What programs share that judge the model on the demo's corpus: their options, the pictures, the vectors."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo.clip import MODEL_DIR
from demo.corpus import read_corpus, write_corpus
from demo.scenes import Scene

Vectors = NDArray[np.float32]


@contextmanager
def asked(program: str, does: str, **flags: str) -> Iterator[argparse.Namespace]:
    """The options of `python -m demo.PROGRAM`: `model`, `corpus`, and the flags, given with their help."""
    parser = argparse.ArgumentParser(prog=f"python -m demo.{program}", description=does)
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="the model's folder (default: %(default)s)")
    parser.add_argument("--corpus", type=Path, help="a folder for the corpus (default: a temporary one)")
    for flag, told in flags.items():
        parser.add_argument(f"--{flag}", action="store_true", help=told)
    options = parser.parse_args()
    with TemporaryDirectory() as temporary:
        options.corpus = options.corpus or Path(temporary) / "corpus"
        yield options


def embed(model_dir: Path, texts: Sequence[str], images: Sequence[Image.Image]) -> tuple[Vectors, Vectors]:
    """Normalised (n, dim) vectors of texts and of images, through sentence-transformers as the service does it."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_dir), device="cpu", local_files_only=True)

    def encode(items: list[Any]) -> Vectors:
        return model.encode(items, normalize_embeddings=True, show_progress_bar=False, batch_size=64)

    return encode(list(texts)), encode(list(images))


def drawn(corpus: Path) -> tuple[list[Scene], list[Image.Image]]:
    """The scenes of the corpus and their pictures. It is drawn if it is not there."""
    write_corpus(corpus)
    keys, scenes = zip(*read_corpus(corpus), strict=True)
    return list(scenes), [Image.open(corpus / key).convert("RGB") for key in keys]
