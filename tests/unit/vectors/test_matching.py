"""Which rows of a file fulfil a filter, and what of that is kept."""

import pytest

from ml_api.vectors.filters import parse
from ml_api.vectors.milvus.embedded.matching import Matching


class Column(list):
    def to_pylist(self):
        return self


class Table:
    def __init__(self, widths):
        self._widths = Column(widths)

    def column(self, _name):
        return self._widths


class Segment:
    def __init__(self, path, widths):
        self.file_path, self.table, self.num_rows = path, Table(widths), len(widths)


def at_least(width):
    return parse({"width": {"gte": width}})


@pytest.fixture
def segment():
    return Segment("a", [1, 2, 3, 4])


def test_the_masks_of_the_last_filters_are_kept(segment):
    matching = Matching()
    mask = matching.mask(segment, at_least(3))
    assert mask.tolist() == [False, False, True, True]
    assert matching.mask(segment, at_least(3)) is mask


def test_masks_are_kept_up_to_a_number_of_bytes_however_many_rows_each_has(segment):
    """256 of a million rows each took 256 MB."""
    matching = Matching(max_mask_bytes=8)
    first, second = (matching.mask(segment, at_least(width)) for width in (1, 2))
    assert matching.mask(segment, at_least(1)) is first
    matching.mask(segment, at_least(3))
    assert matching.mask(segment, at_least(1)) is first, "used last"
    assert matching.mask(segment, at_least(2)) is not second


def test_the_mask_of_another_file_of_the_same_name_takes_its_place(segment):
    matching = Matching(max_mask_bytes=8)
    for widths in ([1, 2, 3, 4], [4, 3, 2, 1], [1, 1, 1, 1]):
        other = Segment("a", widths)
        assert matching.mask(other, at_least(3)).tolist() == [width >= 3 for width in widths]
    kept = matching.mask(segment, at_least(3))
    matching.mask(segment, at_least(4))
    assert matching.mask(segment, at_least(3)) is kept, "there is room for two"
