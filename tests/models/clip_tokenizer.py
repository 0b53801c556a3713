"""Tokenizers for CLIPs of random weights, which the tests and the benchmarks make: as CLIP's own, with few words."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path


def write_tokenizer(folder: Path, words: Iterable[str], context: int) -> int:
    """Byte-level BPE as CLIP's: all bytes, the merges that lead to `words`, the two special tokens last. How many tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = sorted(ByteLevel.alphabet())
    merges = _merges(words)
    merged = dict.fromkeys(left + right for left, right in merges)
    tokens = [*alphabet, *(character + "</w>" for character in alphabet), *merged, "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {token: index for index, token in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges))
    end = dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>")
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": context, "bos_token": "<|startoftext|>"} | end,
    )
    return len(tokens)


def _merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """In order of rank, by which a tokenizer joins: so each word is led through those of the words before it, and on from there."""
    ranks: dict[tuple[str, str], int] = {}
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pairs = list(pairwise(parts))
            pair = min(pairs, key=lambda one: ranks.get(one, len(ranks)))
            ranks.setdefault(pair, len(ranks))
            at = pairs.index(pair)
            parts[at : at + 2] = ["".join(pair)]
    return list(ranks)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))
