"""Tiny text encoders of random weights, in the forms in which they are published beside an image model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.models.clip_tokenizer import write_json
from tests.models.tiny_clip import DIM

TEXTS = [
    "two dogs in the snow",
    "Ein Hund im Schnee",
    "Два пса в снегу",
    "كلبان في الثلج",
    "雪の中の二匹の犬",
    "snow " * 40,
]
"""One in each of several scripts, read from left or right, with and without blanks; the last is longer than is read."""
MAX_TOKENS = 24
_WIDTH = 16
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ENDS = ("<s>", "<pad>", "</s>", "<unk>")


def build_distilbert(folder: Path, dim: int = DIM, seed: int = 7) -> Path:
    """As sentence-transformers/clip-ViT-B-32-multilingual-v1 lies on the hub: the mean of its tokens, projected."""
    import torch
    from safetensors.torch import save_file
    from transformers import DistilBertConfig, DistilBertModel

    folder.mkdir()
    letters = sorted(set("".join(TEXTS)) - {" "})
    tokens = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    kind = {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False, "strip_accents": False, "model_max_length": 512}
    write_json(folder / "tokenizer_config.json", kind)
    torch.manual_seed(seed)
    layers = {"dim": _WIDTH, "hidden_dim": 32, "n_layers": 2, "n_heads": 2}
    DistilBertModel(DistilBertConfig(vocab_size=len(tokens), max_position_embeddings=64, **layers)).save_pretrained(folder)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    modes = {f"pooling_mode_{name}": name == "mean_tokens" for name in ("cls_token", "mean_tokens", "max_tokens")}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": _WIDTH, **modes})
    (folder / "2_Dense").mkdir()
    shape = {"in_features": _WIDTH, "out_features": dim, "bias": False}
    write_json(folder / "2_Dense" / "config.json", shape | {"activation_function": "torch.nn.modules.linear.Identity"})
    save_file({"linear.weight": torch.randn(dim, _WIDTH)}, folder / "2_Dense" / "model.safetensors")
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    write_json(folder / "modules.json", listed)
    write_json(folder / "config_sentence_transformers.json", {"__version__": {"sentence_transformers": "2.0.0"}})
    return folder


def build_xlm_roberta(folder: Path, dim: int = DIM) -> Path:
    """As sentence-transformers writes them today: the first token, projected with a bias through tanh, of length one."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import XLMRobertaConfig, XLMRobertaModel

    parts = folder.with_name(f"{folder.name}-parts")
    parts.mkdir()
    vocabulary = _write_unigrams(parts)
    torch.manual_seed(7)
    layers = {"hidden_size": _WIDTH, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    XLMRobertaModel(XLMRobertaConfig(vocab_size=vocabulary, max_position_embeddings=66, **layers)).save_pretrained(parts)
    modules = [Transformer(str(parts), max_seq_length=MAX_TOKENS), Pooling(_WIDTH, "cls"), Dense(_WIDTH, dim), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    return folder


def _write_unigrams(folder: Path) -> int:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["▁", *sorted(set("".join(TEXTS)) - {" "})]
    vocabulary = [(token, 0.0) for token in _ENDS] + [(piece, -float(rank + 1)) for rank, piece in enumerate(pieces)]
    tokenizer: Any = Tokenizer(models.Unigram(vocabulary, unk_id=_ENDS.index("<unk>")))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    made: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names)
    made.save_pretrained(folder)
    return len(vocabulary)


KINDS: dict[str, Callable[[Path], Path]] = {"DistilBERT, mean": build_distilbert, "XLM-RoBERTa, first token": build_xlm_roberta}
