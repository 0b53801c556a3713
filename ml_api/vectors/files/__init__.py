"""Vector files: records with their vectors in Parquet, JSON lines, CSV, Avro or NumPy, written by us or by other programs.

base        the contract of a format
columns     the columns, ours and those of other programs
parquet, jsonl, csv, avro, npy   the formats
lines, numbers   what the text formats share
opening     a path as a file of vectors: which format, whose model
intake      rows as checked batches for a store; what is wrong with the others
seen        which ids came before
parts       writing that goes on where it was stopped
transfer    from a store to a file, from a file to a store
"""
