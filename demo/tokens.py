"""The tokenizer: CLIP's own byte-level BPE with a small merge table, so that any text at all becomes known tokens.

Every word of the captions is one token; every other text falls apart into pieces and at last into bytes, never into "unknown".
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

CONTEXT_TOKENS = 32
START, END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent first, until each of `words` is one token (Sennrich et al., 2016)."""
    spelled = [[*word[:-1], word[-1] + _WORD_END] for word in sorted(set(words))]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for word in spelled for pair in pairwise(word))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelled = [_merged(word, best) for word in spelled]


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in word:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out


def build_tokenizer(words: Iterable[str]) -> "CLIPTokenizer":
    """A `CLIPTokenizer` over all 256 bytes, the merges of `words`, and CLIP's two special tokens at the end."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    merges = learn_merges(words)
    letters = sorted(ByteLevel.alphabet())
    pieces = [*letters, *(letter + _WORD_END for letter in letters), *dict.fromkeys(a + b for a, b in merges), START, END]
    vocabulary = {piece: code for code, piece in enumerate(pieces)}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=merges,  # type: ignore[arg-type]  # pairs are what its BPE takes
        model_max_length=CONTEXT_TOKENS,
    )
