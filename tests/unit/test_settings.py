"""Settings: read from the environment, all problems reported together."""

import pytest

from ml_api.errors import ConfigError
from ml_api.settings import load_settings


def test_defaults_need_no_environment():
    settings = load_settings({})
    assert settings.model == "clip-ViT-B-32"
    assert settings.port == 5000


def test_values_come_from_the_environment():
    settings = load_settings({"ML_API_PORT": "8080", "ML_API_LOG_QUERIES": "true", "OTHER_PORT": "1"})
    assert settings.port == 8080
    assert settings.log_queries is True


def test_an_empty_variable_counts_as_unset():
    assert load_settings({"ML_API_PORT": " "}).port == 5000


def test_a_corpus_on_the_command_line_wins(tmp_path):
    assert load_settings({"ML_API_CORPUS": "/"}, corpus=tmp_path).corpus == tmp_path


def test_every_problem_is_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        load_settings({"ML_API_PORT": "0", "ML_API_DEVICE": "tpu", "ML_API_CORPSE": "x"})
    problems = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "ML_API_PORT" in problems
    assert "'tpu'" in problems
    assert "did you mean ML_API_CORPUS?" in problems


@pytest.mark.parametrize("uri", ["ftp://host", "http://", "data/milvus", "/srv/vectors/"])
def test_a_store_uri_is_http_or_a_db_path(uri):
    with pytest.raises(ConfigError, match="ML_API_MILVUS_URI"):
        load_settings({"ML_API_MILVUS_URI": uri})


@pytest.mark.parametrize("url", ["triton://host:8001/clip", "triton://10.0.0.7:8001/clip-ViT-B-32", "triton://[::1]:8001/a_b"])
def test_the_model_may_be_on_triton(url):
    assert load_settings({"ML_API_EMBEDDING_URL": url}).embedding_url == url


@pytest.mark.parametrize(
    "url", ["http://host:8001/clip", "triton://host/clip", "triton://host:8001", "triton://host:8001/a/b", "triton://u:p@h:1/m"]
)
def test_an_embedding_url_names_host_port_and_model(url):
    with pytest.raises(ConfigError, match="triton://host:port/name"):
        load_settings({"ML_API_EMBEDDING_URL": url})


def test_a_missing_corpus_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is not a folder"):
        load_settings({"ML_API_CORPUS": str(tmp_path / "nowhere")})


def test_secrets_are_not_quoted_back():
    settings = load_settings({"ML_API_MILVUS_TOKEN": "root:hunter2"})
    assert "hunter2" not in repr(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).port = 1
