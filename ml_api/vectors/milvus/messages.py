"""Packs rows as a message to a Milvus server.

pymilvus packs each field of each row, and each number of each vector, one by one, which took half of the processor time of an
import. Here each field is packed for all rows at once, and vectors as the bytes that they are in memory.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen.milvus_pb2 import UpsertRequest
from pymilvus.grpc_gen.schema_pb2 import BytesArray, FieldData, FloatArray

from ml_api.records import Vectors
from ml_api.vectors.filters import Field
from ml_api.vectors.milvus.schema import Row, collection_schema


def upsert(client: MilvusClient, message: UpsertRequest, timeout_s: float) -> None:
    """As `client.upsert`. Raises what pymilvus raises."""
    client._get_connection().upsert(  # noqa: SLF001 - the client itself takes rows only
        message.collection_name,
        [],
        timeout=timeout_s,
        context=client._generate_call_context(),  # noqa: SLF001 - it names the database
        schema={"fields": []},  # given, so that it is not requested; the message is ready
        upsert_param=message,
    )


def upsert_message(collection: str, rows: Sequence[Row], dim: int, fields: Iterable[Field]) -> UpsertRequest:
    """Return the message of rows that were checked and have all columns. `fields` are those with columns of their own."""
    message = UpsertRequest(collection_name=collection, num_rows=len(rows))
    for name, kind in _columns(dim, tuple(fields)).items():
        _pack(message.fields_data.add(field_name=name, type=kind), [row[name] for row in rows])
    return message


@cache
def _columns(dim: int, fields: tuple[Field, ...]) -> dict[str, DataType]:
    return {field.name: field.dtype for field in collection_schema(dim, fields).fields}


def _pack(field: FieldData, cells: list[Any]) -> None:
    match field.type:
        case DataType.VARCHAR:
            field.scalars.string_data.data.extend(cells)
        case DataType.INT64:
            field.scalars.long_data.data.extend(cells)
        case DataType.DOUBLE:
            field.scalars.double_data.data.extend(cells)
        case DataType.JSON:
            documents = (json.dumps(cell, ensure_ascii=False, separators=(",", ":")) for cell in cells)
            field.scalars.json_data.data.extend([document.encode() for document in documents])
        case DataType.FLOAT_VECTOR:
            field.vectors.dim = len(cells[0])
            field.vectors.float_vector.MergeFrom(_floats(np.stack(cells)))
        case kind:
            raise TypeError(f"no row of ours has a field of type {kind}")


def _floats(vectors: Vectors) -> FloatArray:
    """Pack vectors without visiting each number: in protobuf, packed floats of field 1 are encoded as their little-endian bytes,
    which is also the encoding of one bytes value of field 1."""
    packed = BytesArray(data=[vectors.astype("<f4").tobytes()])
    return FloatArray.FromString(packed.SerializeToString())
