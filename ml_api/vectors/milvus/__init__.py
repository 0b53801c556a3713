"""The vector store on Milvus: embedded (Milvus Lite) or a server. Nothing outside this folder knows pymilvus.

store       the operations of the contract, each a straight line
opening     collections, on one connection for all of an alias
calls       an open collection: its calls are measured, taken in turn, and limited in time
connection  where to connect and as whom, and a client that comes back by itself
collection  finding or creating it and checking that it is ours
index       the kinds of index and their parameters
indexed     search by the index
exact       exact search, by comparison with every vector
filtered    what a server is asked in place of a filter, and the test of the rows that it sends
listing     rows in the order of their ids, and by id, digest or filter
matching    the rows in Milvus Lite that fulfil a filter, by its own predicate
snapshots   which rows of Milvus Lite's are current
ranking     searches of them, within this process
written     writes into its log and files, likewise
generations the collections of one alias, of several models
messages    rows as a message to a server
schema      the collection's fields, and records as rows
access      concurrency of calls: unrestricted on a server, restricted on Milvus Lite
embedded    what Milvus Lite needs of its callers: one process, single writer
flushing    when rows in its memory are moved to a file
recovery    no calls after a write that failed, until all was read from the disk again
locks       readers beside each other, a writer alone
owning      one owner of its folder: modes, lock file
lite        Milvus Lite's server, on a socket that this user alone can reach
failures    pymilvus and gRPC exceptions as ours
"""

from ml_api.vectors.milvus.connection import MilvusEndpoint
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.store import MilvusStore

__all__ = ["MilvusEndpoint", "MilvusStore", "VectorIndex"]
