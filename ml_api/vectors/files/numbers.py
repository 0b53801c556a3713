"""Formats vectors as decimal text, for the formats `csv` and `jsonl`, with as few digits as reproduce every float32 bit for bit."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_api.records import Vectors


def as_json(vectors: Vectors) -> Iterator[str]:
    """Yield each row as a JSON list, which a reader may parse in double precision and then round.

    Arrow writes the shortest text that a parser of float32 reads as the number. A parser of double precision rounds twice, which
    could give a neighbouring number; and Arrow writes -0, which JSON parsers read as an integer without a sign. A row with such a
    number is written with all the digits of its doubles.
    """
    flat = vectors.reshape(-1)
    digits = pa.array(flat).cast(pa.string())
    lists = pa.FixedSizeListArray.from_arrays(digits, vectors.shape[1]).cast(pa.list_(pa.string()))
    again = digits.cast(pa.float64()).to_numpy().astype(np.float32).view(np.uint32).reshape(vectors.shape)
    exact = (again == np.ascontiguousarray(vectors).view(np.uint32)).all(axis=1) & ~(np.signbit(vectors) & (vectors == 0)).any(
        axis=1
    )
    for row, (text, whole) in enumerate(zip(pc.binary_join(lists, ",").to_pylist(), exact, strict=True)):
        yield f"[{text if whole else ','.join(map(repr, vectors[row].tolist()))}]"
