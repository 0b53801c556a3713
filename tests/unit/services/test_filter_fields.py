"""Which metadata fields get columns, as the setting names them."""

import pytest

from ml_api.errors import ConfigError
from ml_api.services.parts import MAX_FILTER_FIELDS, filter_fields_of
from ml_api.settings import load_settings
from ml_api.vectors.filters import Field


def fields(value):
    return filter_fields_of(load_settings({"ML_API_FILTER_FIELDS": value}))


def test_fields_are_named_as_in_filters_in_any_order():
    wanted = [Field(("dc.title",)), Field(("brand",)), Field(("maker", "city"))]
    assert fields("maker.city, brand,/dc.title,brand") == wanted == fields("brand,/dc.title,maker.city")
    assert fields("") == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("brand,maker..city", "ML_API_FILTER_FIELDS: a name leads through objects by single dots"),
        ("brand,width,key", "ML_API_FILTER_FIELDS: key, width: every image has a column for it already; leave it out"),
        (
            ",".join(f"f{number}" for number in range(MAX_FILTER_FIELDS + 1)),
            f"ML_API_FILTER_FIELDS: names {MAX_FILTER_FIELDS + 1} fields; at most {MAX_FILTER_FIELDS} get columns",
        ),
    ],
)
def test_what_cannot_have_columns_is_refused(value, problem):
    with pytest.raises(ConfigError) as caught:
        fields(value)
    assert caught.value.detail.startswith(problem)
