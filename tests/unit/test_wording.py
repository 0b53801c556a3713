"""What people read of values."""

import pytest

from ml_api.wording import size_in_words


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 KB"),
        (82_400, "82 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (1_234_500_000, "1,234.5 MB"),
    ],
)
def test_sizes_are_told_in_decimal_units(size_bytes, words):
    assert size_in_words(size_bytes) == words
