"""The shipped model: small, safe to load, and on the same path as the hub's `clip-ViT-B-32`."""

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.clip import EMBEDDING_DIM, MODEL_DIR, new_tokenizer
from demo.judging import embed
from demo.scenes import Group, Scene, draw
from demo.tokens import CONTEXT_TOKENS, END, learn_merges

SNOWY_DOGS = Scene((Group("dog", "brown", 2),), "snow", None, 2)
NIGHT_ROCKET = Scene((Group("rocket", "red", 1),), "night", None, 4)
DESERT_CUP = Scene((Group("cup", "blue", 3),), "desert", None, 6)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return new_tokenizer()


def test_the_model_is_small_and_holds_no_pickles():
    files = [path for path in MODEL_DIR.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10_000_000
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".jsonl", ".md"}


def test_the_model_calls_itself_a_demo_model_and_says_how_it_was_made():
    about = json.loads((MODEL_DIR / "training.json").read_text())
    assert "demo model" in about["name"]
    assert about["command"].startswith("python -m demo.train")
    assert {"seed", "steps"} <= set(about["recipe"])


def test_texts_find_their_pictures():
    texts = ["two dogs playing in the snow", "a red rocket", "three cups"]
    vectors, images = embed(MODEL_DIR, texts, [draw(scene, 256) for scene in (SNOWY_DOGS, NIGHT_ROCKET, DESERT_CUP)])
    assert vectors.shape == images.shape == (3, EMBEDDING_DIM)
    assert (vectors @ images.T).argmax(axis=1).tolist() == [0, 1, 2]


def test_a_batch_embeds_as_its_members_do_and_any_size_of_picture_will_do():
    pictures = [Image.new("RGB", size, (200, 40, 40)) for size in ((64, 64), (300, 77), (1, 1), (256, 256))]
    texts = ["dog", "", "two dogs playing in the snow", "Zebra 日本 🎈 naïve"]
    batch_texts, batch_images = embed(MODEL_DIR, texts, pictures)
    singles = [embed(MODEL_DIR, [text], [picture]) for text, picture in zip(texts, pictures, strict=True)]
    np.testing.assert_allclose(batch_texts, np.concatenate([text for text, _ in singles]), atol=1e-5)
    np.testing.assert_allclose(batch_images, np.concatenate([image for _, image in singles]), atol=1e-5)


def test_any_text_becomes_known_tokens(tokenizer: Any):
    pieces = "".join(tokenizer.tokenize("Zebra 日本 🎈 \x00 naïve"))
    assert END not in pieces


def test_letter_case_does_not_matter(tokenizer: Any):
    assert tokenizer("Two DOGS").input_ids == tokenizer("two dogs").input_ids


def test_long_texts_are_cut_and_still_end(tokenizer: Any):
    ids = tokenizer("two red dogs " * 40, truncation=True).input_ids
    assert len(ids) == CONTEXT_TOKENS
    assert ids[-1] == tokenizer.eos_token_id


def test_merges_make_each_word_one_token():
    merges = learn_merges(["dog", "dogs"])
    assert {a + b for a, b in merges} >= {"dog</w>", "dogs</w>"}
