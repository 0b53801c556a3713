"""Tokenizers for CLIPs of random weights, which the tests and the benchmarks make: as CLIP's own, with few words."""

import json
from collections.abc import Iterable
from pathlib import Path


def write_tokenizer(folder: Path, words: Iterable[str], context: int) -> int:
    """Byte-level BPE as CLIP's: all bytes, the merges that lead to `words`, the two special tokens last. How many tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    tokens = [*alphabet, *(character + "</w>" for character in alphabet)]
    merges: list[str] = []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            merges.append(" ".join(parts[:2]))
            parts[:2] = ["".join(parts[:2])]
            tokens.append(parts[0])
    tokens = [*dict.fromkeys(tokens), "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(dict.fromkeys(merges)) + "\n")
    end = dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>")
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": context, "bos_token": "<|startoftext|>"} | end,
    )
    return len(tokens)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
