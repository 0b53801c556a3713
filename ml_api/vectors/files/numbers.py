"""Vectors as decimal text that gives every float32 back bit for bit, in as few digits as that takes."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ml_api.records import Vectors


def as_json(vectors: Vectors) -> Iterator[str]:
    """Each row as a JSON list. What reads it may parse the numbers as double precision and round them.

    Arrow writes the shortest text that a parser of float32 takes for the number. Through double precision it is rounded twice,
    which could give a neighbour; and it writes -0, which JSON parsers take for an integer that has no sign. A row with either is
    written with all the digits of its doubles.
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
