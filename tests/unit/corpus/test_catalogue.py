"""A catalogue lies elsewhere than the images, in a file or behind a URL; without it, images keep what they have."""

import base64
import itertools
import os

import pytest
from werkzeug import Response

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.metadata import Catalogue
from ml_api.corpus.metadata.catalogue import VERSION_EVERY_S
from ml_api.errors import ConfigError
from ml_api.settings import load_settings
from tests.files.metadata_files import ReadMetadata

ROWS = "product_id,price\n1234,9.5\n"
READ = {"1234": {"product_id": "1234", "price": 9.5}}


def read(tmp_path, address):
    return ReadMetadata(tmp_path, catalogue=Catalogue(str(address)))


def test_a_file_anywhere_is_read(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "export.csv").write_text(ROWS)
    metadata = read(tmp_path, tmp_path / "elsewhere" / "export.csv")
    assert (metadata.by_key, metadata.problems, metadata.complete) == (READ, (), True)


def test_a_url_is_read(tmp_path, httpserver):
    httpserver.expect_request("/shop/export.csv", query_string="day=1").respond_with_data(ROWS)
    metadata = read(tmp_path, httpserver.url_for("/shop/export.csv?day=1"))
    assert (metadata.by_key, metadata.problems, metadata.complete) == (READ, (), True)


def test_the_password_of_a_url_is_sent_and_told_to_nobody_else(tmp_path, httpserver):
    httpserver.expect_request(
        "/export.csv", headers={"Authorization": "Basic " + base64.b64encode(b"shop:p@ss").decode()}
    ).respond_with_response(Response(status=302, headers={"Location": "/moved.csv"}))
    httpserver.expect_request("/moved.csv").respond_with_data(ROWS)
    address = httpserver.url_for("/export.csv").replace("://", "://shop:p%40ss@")
    assert read(tmp_path, address).by_key == READ
    assert "Authorization" not in httpserver.log[-1][0].headers
    httpserver.clear()
    [problem] = read(tmp_path, address).problems
    assert "p%40ss" not in problem
    assert "p@ss" not in problem


def broken_off(httpserver):
    response = Response(ROWS)
    response.automatically_set_content_length = False
    response.headers["Content-Length"] = "1000"
    httpserver.expect_request("/x.csv").respond_with_response(response)
    return httpserver.url_for("/x.csv")


def missing(httpserver):
    httpserver.expect_request("/x.csv").respond_with_data("", status=404)
    return httpserver.url_for("/x.csv")


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (broken_off, "x.csv cannot be read: only 26 of 1,000 bytes came"),
        (missing, "x.csv cannot be read: the server answered 404"),
        (lambda _server: "http://127.0.0.1:9/x.csv", "x.csv cannot be read: the server cannot be reached"),
        (lambda _server: "/nowhere/x.csv", "x.csv cannot be read: there is no such file"),
        (lambda _server: "/dev/x.csv", "x.csv cannot be read: there is no such file"),
    ],
)
def test_a_catalogue_that_cannot_be_read_takes_nothing_from_the_images(tmp_path, httpserver, address, says):
    (tmp_path / "metadata.csv").write_text("key,n\na.jpg,1\n")
    metadata = read(tmp_path, address(httpserver))
    assert metadata.by_key == {"a.jpg": {"n": 1}}
    assert not metadata.complete
    [problem] = metadata.problems
    assert problem.startswith(says)
    assert problem.endswith("images keep their present metadata")


def test_a_version_tells_a_change(tmp_path):
    export = tmp_path / "export.csv"
    corpus = FolderCorpus(tmp_path, catalogue=Catalogue(str(export)))
    versions = [corpus.metadata_version()]
    for path in (export, tmp_path / "metadata.csv"):
        path.write_text(ROWS)
        versions.append(corpus.metadata_version())
        os.utime(path, ns=(1, 1))
        versions += [corpus.metadata_version()]
    assert len(set(versions)) == 5
    assert corpus.metadata_version() == versions[-1]
    export.unlink()
    assert corpus.metadata_version() == versions[-1], "what cannot be read changes nothing"


def test_the_version_of_a_url_is_what_its_server_says(httpserver):
    clock = itertools.count(step=VERSION_EVERY_S)
    catalogue = Catalogue(httpserver.url_for("/x.csv"), lambda: next(clock))
    assert catalogue.version() == ""
    httpserver.expect_request("/x.csv", method="HEAD").respond_with_response(Response(headers={"ETag": '"1"'}))
    first = catalogue.version()
    assert '"1"' in first
    httpserver.clear()
    assert catalogue.version() == first


@pytest.mark.parametrize("status", [200, 500])
def test_a_server_is_asked_for_the_version_once_in_some_seconds_whatever_it_says(httpserver, status):
    """Each batch of changes asked it, and waited for up to 5 s where it did not answer."""
    httpserver.expect_request("/x.csv", method="HEAD").respond_with_response(Response(headers={"ETag": '"1"'}, status=status))
    now = [0.0]
    catalogue = Catalogue(httpserver.url_for("/x.csv"), lambda: now[0])
    for asked in (1, 2):
        assert len({catalogue.version() for _ in range(3)}) == 1
        assert len(httpserver.log) == asked
        now[0] += VERSION_EVERY_S


@pytest.mark.parametrize("value", ["export.csv", "/a/b.parquet", "https://shop.example/x.jsonl?token=1#x"])
def test_a_setting_names_it(value):
    assert load_settings({"ML_API_CATALOGUE": value}).catalogue.endswith(value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("export.xlsx", "must end in .jsonl, .csv or .parquet"),
        ("ftp://shop.example/x.csv", "must be a path, http://"),
        ("https://shop.example/csv", "must end in"),
        ("https://", "must be a path"),
    ],
)
def test_a_setting_that_names_none_is_refused(value, says):
    with pytest.raises(ConfigError, match=says):
        load_settings({"ML_API_CATALOGUE": value})
