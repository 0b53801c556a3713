"""Where the image files live. The corpus is the truth; vectors and thumbnails are derived from it."""
