"""The vector store on Milvus: embedded (Milvus Lite) or a server. Nothing outside this package imports pymilvus.

store       MilvusStore: the operations of VectorStore
opening     opens collections, on one connection for all of an alias
calls       an open collection, whose calls are measured, serialised where needed, and limited in time
connection  the address and credentials, and a client that reconnects by itself
collection  finds or creates a collection, and checks its model, metric and index
index       the kinds of index and their parameters
indexed     search by the index
exact       exact search, by comparison with every vector
filtered    compiles a filter for a server, and tests the rows that it returns
listing     rows in the order of their ids, and by id, digest or filter
generations the collections of one alias, one for each model
messages    packs rows as a message to a server
schema      the fields of a collection, and the conversion of records to rows
access      when calls may be made: at any time on a server, restricted on Milvus Lite
embedded/   Milvus Lite: its server and its rows, in this process
failures    translates exceptions of pymilvus and gRPC to errors of `ml_api.errors`
"""

from ml_api.vectors.milvus.connection import MilvusEndpoint
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.store import MilvusStore

__all__ = ["MilvusEndpoint", "MilvusStore", "VectorIndex"]
