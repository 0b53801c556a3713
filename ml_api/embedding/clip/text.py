"""The model's own tokenizer without its special tokens' power, its padding and its silent cut.

Text is tokenised here and never handed to `encode`, which fetches what looks like a URL and opens what looks like a path.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ml_api.embedding.base import Prepared
from ml_api.errors import InvalidQuery

if TYPE_CHECKING:
    import torch


class Tokenizer:
    """Tokenises one text at a time, so the library's own thread pool, which TOKENIZERS_PARALLELISM governs and a fork would break,
    never starts.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        """A fast tokenizer of transformers, for texts of at most `max_tokens`, fewer if it says so itself."""
        import tokenizers

        self._pad_id = int(tokenizer.pad_token_id)
        self._max_tokens = min(tokenizer.model_max_length, max_tokens)
        # A copy of our own: settings of the shared one may change under a concurrent call ("Already borrowed").
        self._backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_truncation()
        self._backend.no_padding()
        # "<|endoftext|> cat" is read as the text it is; as a token it would end the sentence before the cat.
        self._backend.encode_special_tokens = True

    def prepare(self, text: str) -> Prepared:
        try:
            ids = self._backend.encode(text).ids
        except (TypeError, UnicodeEncodeError) as exc:
            raise InvalidQuery("The text holds half a character (a lone surrogate) and is not valid Unicode.") from exc
        start, *content, end = ids
        if not content:
            raise InvalidQuery("The text is empty; describe what the images should show.")
        room = self._max_tokens - 2
        features = np.array([start, *content[:room], end], dtype=np.int64)
        return Prepared("text", features, truncated=len(content) > room)

    def pad(self, items: Sequence[Prepared]) -> "dict[str, torch.Tensor]":
        """Token ids and attention mask, (n, longest): no longer than the batch needs, as the model's cost grows with it."""
        import torch

        ids = np.full((len(items), max(len(item.features) for item in items)), self._pad_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, item in enumerate(items):
            ids[row, : len(item.features)] = item.features
            mask[row, : len(item.features)] = 1
        return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
