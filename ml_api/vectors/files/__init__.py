"""Reads and writes vector files, for imports, exports and `extract`: records with their vectors in Parquet, JSON lines, CSV, Avro
or NumPy, written by this application or by other programs.

base        the contract of a format
columns     the columns, of this application's files and of other programs'
parquet, jsonl, csv, avro, npy   the formats
lines, numbers   shared code of the text formats
opening     opens a path as a file of vectors: its format, its model
intake      checks rows, and batches those that a store accepts
seen        a compact set of ids
parts       writes a file in parts, so that an interrupted writer continues
transfer    from a store to a file, and from a file to a store
"""
