"""Reads, writes and watches the image files, in a folder or a bucket. Vectors and thumbnails are derived from these files."""
