"""What the page suggests, and what the documentation asks, has true pictures in the corpus: told by its facts, never by a model."""

import re
from pathlib import Path
from urllib.parse import unquote_plus

import numpy as np
import pytest

from demo.clip import MODEL_DIR
from demo.corpus import COUNT, PIXELS, SEED, plan
from demo.judging import embed
from demo.queries import SHOWCASE, SHOWCASE_CLAIM
from demo.relevance import Claim, Mention
from demo.scenes import draw
from ml_api import web
from ml_api.api import schemas
from ml_api.api.examples import DRAWN_ID
from ml_api.api.operation import query_parameters_of
from ml_api.records import image_id

README = (Path(__file__).parents[3] / "README.md").read_text()
LEAST_TRUE = 3

CLAIMS = {
    SHOWCASE: SHOWCASE_CLAIM,
    "a train at night": Claim((Mention("train"),), "night"),
    "a black cat": Claim((Mention("cat", "black"),)),
    "a house in the desert": Claim((Mention("house"),), "desert"),
    "red mushrooms": Claim((Mention("mushroom", "red"),)),
    "a boat at sea": Claim((Mention("boat"),), "sea"),
    "a boat": Claim((Mention("boat"),)),
}
"""What each text says."""


def asked():
    """Every text that the page suggests or a document searches for."""
    in_urls = [unquote_plus(text) for text in re.findall(r"[?&]q=([^&'\s\"]+)", README)]
    in_json = re.findall(r'"q": "([^"]+)"', README)
    parameters = query_parameters_of(schemas.search.TextParameters)
    in_api = [parameter["example"] for parameter in parameters if parameter["name"] == "q"]
    return {*web.EXAMPLES, *in_urls, *in_json, *in_api}


@pytest.mark.parametrize("text", sorted(asked()))
def test_a_text_that_is_suggested_has_true_pictures(text):
    pictures = plan(COUNT, SEED)
    assert sum(CLAIMS[text].true_of(picture.scene) for picture in pictures) >= LEAST_TRUE


def test_documents_search_for_the_same_as_the_page():
    assert SHOWCASE in web.EXAMPLES
    assert len(web.EXAMPLES) == len(set(web.EXAMPLES)) == 6
    assert asked() == set(CLAIMS)


@pytest.mark.parametrize("count", [12, COUNT])
def test_every_corpus_holds_the_picture_by_which_the_page_knows_it(count):
    assert image_id(plan(count, SEED)[0].key) == DRAWN_ID


def test_the_first_hits_of_every_suggestion_are_true():
    """Among other pictures; over all 1,500 the first five of each are true, too."""
    scenes = [picture.scene for picture in plan(COUNT, SEED)]
    true = [index for text in web.EXAMPLES for index in [i for i, scene in enumerate(scenes) if CLAIMS[text].true_of(scene)][:4]]
    chosen = [scenes[index] for index in sorted({*true, *range(60)})]
    texts, images = embed(MODEL_DIR, web.EXAMPLES, [draw(scene, PIXELS) for scene in chosen])
    first = np.argsort(-texts @ images.T, axis=1)[:, :LEAST_TRUE]
    found = {text: [CLAIMS[text].true_of(chosen[i]) for i in row] for text, row in zip(web.EXAMPLES, first, strict=True)}
    assert found == dict.fromkeys(web.EXAMPLES, [True] * LEAST_TRUE)
