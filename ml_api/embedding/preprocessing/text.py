"""The model's own tokenizer without its special tokens' power, its padding and its silent cut.

Text is tokenised here and never handed to the library's `encode`, which fetches what looks like a URL and opens what looks like a
path.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tokenizers

from ml_api.embedding.base import Prepared
from ml_api.errors import InvalidQuery

TextArrays = dict[str, npt.NDArray[np.int64]]
"""`input_ids` and, where padding is masked, `attention_mask`, each of shape (n, tokens)."""


class Tokenizer:
    """Tokenises one text at a time, so the library's own thread pool, which TOKENIZERS_PARALLELISM governs and a fork would break,
    never starts.
    """

    def __init__(self, definition: str, *, max_tokens: int, vocabulary: int, pad_id: int, pad_to: int | None = None) -> None:
        """`definition` is the content of a `tokenizer.json`, `max_tokens` the model's context, special tokens included, and
        `vocabulary` how many tokens it knows.

        With `pad_to` every text is padded to as many tokens, which the model reads like others (no mask), for models that were
        trained so; otherwise to the longest of a batch, and padding is masked.
        """
        self.definition = definition
        self.max_tokens = max_tokens
        self.vocabulary = vocabulary
        self.pad_id = pad_id
        self.pad_to = pad_to
        # A backend of our own: settings of a shared one may change under a concurrent call ("Already borrowed").
        self._backend = tokenizers.Tokenizer.from_str(definition)
        self._backend.no_padding()
        self._backend.enable_truncation(max_tokens)
        # "<|endoftext|> cat" is read as the text it is; as a token it would end the sentence before the cat.
        self._backend.encode_special_tokens = True

    def prepare(self, text: str) -> Prepared:
        """Raises InvalidQuery for text without content or that is not Unicode."""
        try:
            encoding = self._backend.encode(text)
        except (TypeError, UnicodeEncodeError) as exc:
            raise InvalidQuery("The text holds half a character (a lone surrogate) and is not valid Unicode.") from exc
        if not text.strip() or all(encoding.special_tokens_mask):  # to some tokenizers a blank is a token
            raise InvalidQuery("The text is empty; describe what the images should show.")
        features = np.array(encoding.ids, dtype=np.int64)
        if self.pad_to is not None:
            features = np.pad(features, (0, self.pad_to - len(features)), constant_values=self.pad_id)
        return Prepared("text", features, truncated=bool(encoding.overflowing))

    def pad(self, items: Sequence[Prepared]) -> TextArrays:
        """Texts as the model takes them."""
        arrays = pad(items, self.pad_id)
        return arrays if self.pad_to is None else {"input_ids": arrays["input_ids"]}


def pad(items: Sequence[Prepared], pad_id: int = 0) -> TextArrays:
    """One row a text, no longer than the batch needs: the cost grows with it."""
    ids = np.full((len(items), max(len(item.features) for item in items)), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, item in enumerate(items):
        ids[row, : len(item.features)] = item.features
        mask[row, : len(item.features)] = 1
    return {"input_ids": ids, "attention_mask": mask}
