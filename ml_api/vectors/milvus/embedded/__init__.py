"""Milvus Lite within this process: kept from losing rows, and read and written without its own calls, which take long.

access      the restrictions: one process, one writer, nothing after a write that failed
owning      the owner of the folder: modes, lock file
flushing    decides when rows in memory are moved to a file
recovery    prevents calls after a failed write, until everything is read from disk again
locks       a lock that many may share, or one may hold alone
server      its server, on a socket that only this user can reach, and the way to its rows
written     writes to its log and files
snapshots   the current view of each collection, replaced when rows have moved to other files
views       all current rows of a collection, read anew after a write
parts       the rows of a file or in memory, which of them are current, and their fields
ordered     the current rows in the order of their ids
ranking     searches them by index or by comparison
matching    evaluates filters on them
"""
