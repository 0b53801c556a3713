"""Tiny dual encoders of random weights, of each kind that sentence-transformers loads, in the layouts of their hubs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.models.clip_tokenizer import write_json
from tests.models.tiny_clip import build_tiny_clip

WORDS = ("a", "red", "blue", "cat", "dog", "photo", "of", "the", "two", "dogs", "in", "snow")
EDGE_PX = 32
_LAYERS = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
_PIXELS = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "rescale_factor": 1 / 255,
    "size": {"height": EDGE_PX, "width": EDGE_PX},
    "resample": 3,
}


def build_open_clip(folder: Path) -> Path:
    """As OpenCLIP's exports lie on the hub: transformers' files at the top, beside OpenCLIP's own; another activation."""
    made = build_tiny_clip(folder.with_name(f"{folder.name}-made"))
    shutil.copytree(made / "0_CLIPModel", folder)
    config = json.loads((folder / "config.json").read_text())
    for tower in ("text_config", "vision_config"):
        config[tower]["hidden_act"] = "gelu"
    write_json(folder / "config.json", config)
    write_json(folder / "open_clip_config.json", {"model_cfg": {"embed_dim": config["projection_dim"]}})
    for name in ("open_clip_model.safetensors", "open_clip_pytorch_model.bin"):
        (folder / name).write_bytes(b"OpenCLIP's own weights")
    return folder


def build_saved_again(folder: Path) -> Path:
    """As sentence-transformers writes today what it loaded from the older form."""
    from sentence_transformers import SentenceTransformer

    made = build_tiny_clip(folder.with_name(f"{folder.name}-made"))
    SentenceTransformer(str(made), device="cpu", local_files_only=True).save(str(folder), create_model_card=False)
    return folder


def build_converted(folder: Path) -> Path:
    """As transformers writes a CLIP today, whatever it was converted from: its processor and tokenizer in forms of its own."""
    from transformers import CLIPModel, CLIPProcessor

    made = build_tiny_clip(folder.with_name(f"{folder.name}-made")) / "0_CLIPModel"
    for part in (CLIPModel, CLIPProcessor):
        loaded: Any = part.from_pretrained(made, local_files_only=True)
        loaded.save_pretrained(folder)
    return folder


def build_siglip(folder: Path) -> Path:
    """As SigLIP lies on the hub."""
    folder.mkdir()
    special = ("<pad>", "<eos>", "<unk>")
    _write_words(folder, special, "$A <eos>", 64, ["input_ids"])
    return _write_siglip(folder, len(special) + len(WORDS))


def build_siglip2(folder: Path) -> Path:
    """As SigLIP 2 of fixed resolution lies on the hub: a SigLIP that reads with Gemma's tokenizer."""
    folder.mkdir()
    return _write_siglip(folder, _write_gemma(folder))


def _write_siglip(folder: Path, vocabulary: int) -> Path:
    import torch
    from transformers import SiglipConfig, SiglipModel

    text = {"vocab_size": vocabulary, "max_position_embeddings": 64, "projection_size": 16}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    torch.manual_seed(7)
    SiglipModel(
        SiglipConfig(text_config=_LAYERS | text | ends, vision_config=_LAYERS | {"image_size": EDGE_PX, "patch_size": 8})
    ).save_pretrained(folder)
    means = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    kind = {"image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor"}
    write_json(folder / "preprocessor_config.json", _PIXELS | means | kind)
    return folder


def build_chinese_clip(folder: Path) -> Path:
    """As Chinese-CLIP lies on the hub: BERT reads the texts."""
    import torch
    from transformers import ChineseCLIPConfig, ChineseCLIPModel

    folder.mkdir()
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in (*special, *WORDS)))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 52})
    text = _LAYERS | {"vocab_size": len(special) + len(WORDS), "max_position_embeddings": 64}
    torch.manual_seed(7)
    ChineseCLIPModel(
        ChineseCLIPConfig(
            projection_dim=24,
            text_config=text,
            vision_config=_LAYERS | {"image_size": EDGE_PX, "patch_size": 8, "projection_dim": 24},
        )
    ).save_pretrained(folder)
    means = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    kind = {"image_processor_type": "ChineseCLIPImageProcessor", "processor_class": "ChineseCLIPProcessor", "do_center_crop": False}
    write_json(folder / "preprocessor_config.json", _PIXELS | means | kind)
    return folder


def _write_gemma(folder: Path) -> int:
    """Letters, and bytes for what is none of them. How many tokens."""
    from tokenizers import Tokenizer, models, normalizers, processors

    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *sorted(set("".join(WORDS)))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer: Any = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{token.strip('<>')}_token": token for token in special}
    kind = {"tokenizer_class": "GemmaTokenizer", "padding_side": "right", "model_max_length": 64}
    inputs = {"model_input_names": ["input_ids"], "add_bos_token": False, "add_eos_token": True}
    write_json(folder / "tokenizer_config.json", names | kind | inputs)
    return len(tokens)


def _write_words(folder: Path, special: tuple[str, ...], template: str, context: int, names: list[str]) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate((*special, *WORDS))}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<eos>", vocabulary["<eos>"])])
    ends = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    made: Any = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=context, model_input_names=names, **ends)
    made.save_pretrained(folder)


KINDS: dict[str, Callable[[Path], Path]] = {
    "CLIP of sentence-transformers": build_tiny_clip,
    "CLIP, saved again by sentence-transformers": build_saved_again,
    "CLIP, converted by transformers": build_converted,
    "OpenCLIP, exported": build_open_clip,
    "SigLIP": build_siglip,
    "SigLIP 2": build_siglip2,
    "Chinese-CLIP": build_chinese_clip,
}
