"""The vector store on Milvus: embedded (Milvus Lite) or a server. Nothing outside this folder knows pymilvus.

store       the operations of the contract, each a straight line
parameters  where to connect, which index
schema      the collection's fields, and records as rows
opening     finding or creating the collection, and checking that it is ours
access      who may call when: nothing to mind on a server, a great deal on Milvus Lite
embedded    what Milvus Lite needs of its callers: one process, single writer, flushing, forks
owning      one owner of its folder: modes, lock file
lite        Milvus Lite's server, on a socket that this user alone can reach
failures    pymilvus and gRPC exceptions as ours
"""

from ml_api.vectors.milvus.parameters import Connection, VectorIndex
from ml_api.vectors.milvus.store import MilvusStore

__all__ = ["Connection", "MilvusStore", "VectorIndex"]
