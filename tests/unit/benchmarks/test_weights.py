from benchmarks.weights import WORDS, texts
from tests.models.clip_tokenizer import write_tokenizer


def test_texts_cost_as_many_tokens_as_with_the_published_vocabulary(tmp_path):
    from transformers import CLIPTokenizerFast

    write_tokenizer(tmp_path, WORDS, context=77)
    tokenizer = CLIPTokenizerFast.from_pretrained(tmp_path)
    assert {len(ids) for ids in tokenizer(texts())["input_ids"]} == {11}
