"""Settings: options before the environment before a `.env` file; all problems together, by the names under which they came."""

import re
import socket

import pytest

from ml_api.errors import ConfigError
from ml_api.settings import Given, Settings, environment_name, load_settings, option_name
from ml_api.settings.indexes import OfIndex


def problems_of(*arguments, **keywords):
    with pytest.raises(ConfigError) as caught:
        load_settings(*arguments, **keywords)
    return caught.value.problems


def test_defaults_need_no_environment():
    settings = load_settings({})
    assert settings.model == "clip-ViT-B-32"
    assert settings.port == 8420


def test_values_come_from_the_environment():
    settings = load_settings({"ML_API_PORT": "8080", "ML_API_LOG_QUERIES": "true", "OTHER_PORT": "1"})
    assert settings.port == 8080
    assert settings.log_queries is True


def test_an_empty_variable_counts_as_unset():
    assert load_settings({"ML_API_PORT": " "}).port == 8420


EMPTY_BY_DEFAULT = [field for field, declared in Settings.model_fields.items() if declared.default == ""]


@pytest.mark.parametrize("field", EMPTY_BY_DEFAULT)
def test_an_empty_option_is_the_value_of_a_setting_that_is_empty_by_default(field):
    settings = load_settings({}, options={field: Given(option_name(field), " ")})
    assert getattr(settings, field) == ""
    assert settings.model_fields_set == {field}


def test_an_empty_option_overrides_a_variable_only_if_empty_is_the_default():
    options = {"catalogue": Given("--catalogue", ""), "port": Given("--port", "")}
    settings = load_settings({"ML_API_CATALOGUE": "/shop.csv", "ML_API_PORT": "8080"}, options=options)
    assert (settings.catalogue, settings.port) == ("", 8080)


def test_options_win_over_the_environment_and_that_over_a_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("# of Docker Compose, too\nML_API_PORT=1001\nML_API_THREADS=3\nML_API_HOST='0.0.0.0'\nGRAFANA_PASSWORD=x\n")
    settings = load_settings(
        {"ML_API_PORT": "1002", "ML_API_THREADS": "4", "ML_API_HOST": ""},
        options={"port": Given("--port", "1003")},
        env_file=file,
    )
    assert (settings.port, settings.threads, settings.host) == (1003, 4, "0.0.0.0")


def test_a_file_is_read_as_compose_and_editors_write_it(tmp_path):
    file = tmp_path / ".env"
    file.write_bytes(b'\xef\xbb\xbfML_API_PORT=80 # the usual\r\nexport ML_API_COLLECTION="pictures"\r\nML_API_HOST\r\n')
    settings = load_settings({}, env_file=file)
    assert (settings.port, settings.collection, settings.host) == (80, "pictures", "127.0.0.1")


@pytest.mark.parametrize("token", ["root:a${HOME}b", "root:a${NONE:-c}b", "root:$HOME"])
def test_a_secret_in_a_file_is_taken_as_it_is_written(tmp_path, token):
    file = tmp_path / ".env"
    file.write_text(f"ML_API_MILVUS_TOKEN={token}\n")
    assert load_settings({"HOME": "/nowhere"}, env_file=file).milvus_token.get_secret_value() == token


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert load_settings({}, env_file=tmp_path / ".env").port == 8420


@pytest.mark.parametrize(
    ("bytes_", "says"),
    [
        (b"ML_API_PORT=8\xff", "not UTF-8"),
        (b"ML_API_PROT=80", "ML_API_PROT in .*did you mean"),
        (b"A=1\nML_API_PORT 80\n", "line 2 is not NAME=value"),
    ],
)
def test_what_is_wrong_with_a_file_names_the_file(tmp_path, bytes_, says):
    file = tmp_path / ".env"
    file.write_bytes(bytes_)
    [problem] = problems_of({}, env_file=file)
    assert str(file) in problem
    assert re.search(says, problem)


def test_every_problem_is_reported_at_once():
    problems = problems_of({"ML_API_PORT": "0", "ML_API_DEVICE": "tpu", "ML_API_CORPSE": "x"}, problems=["--prot is not an option"])
    assert len(problems) == 4
    told = "\n".join(problems)
    assert "--prot" in told
    assert "ML_API_PORT" in told
    assert "'tpu'" in told
    assert "did you mean ML_API_CORPUS?" in told


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("port", "65536", "must be a whole number from 1 to 65,535 (got '65536')"),
        ("port", "http", "must be a whole number from 1 to 65,535 (got 'http')"),
        ("max_image_aspect", "0.5", "must be a number from 1 to 1,000 (got '0.5')"),
        ("request_timeout_s", "nan", "must be a number above 0 and at most 600 (got 'nan')"),
        ("log_queries", "maybe", "must be true or false (got 'maybe')"),
        ("device", "tpu", "must be 'auto', 'cpu' or 'cuda' (got 'tpu')"),
        (
            "collection",
            "1st",
            "must be a name of 1 to 100 letters (A-Z, a-z), digits and underscores that begins with no digit (got '1st')",
        ),
        (
            "collection",
            "b\u00fccher",
            "must be a name of 1 to 100 letters (A-Z, a-z), digits and underscores that begins with no digit",
        ),
        ("milvus_database", "my-own", "must be a name of letters (A-Z, a-z), digits and underscores (got 'my-own')"),
        ("environment", "a b", "must be 1 to 64 letters, digits, dots, hyphens and underscores (got 'a b')"),
    ],
)
def test_a_problem_says_what_would_be_right(name, value, says):
    [problem] = problems_of({environment_name(name): value})
    assert problem.startswith(f"{environment_name(name)}: {says}")


@pytest.mark.parametrize("value", ["!", "-1", "1e99", "x" * 200])
def test_no_problem_is_told_in_the_words_of_a_library(value):
    problems = problems_of({environment_name(field): value for field in Settings.model_fields}, command="serve")
    assert len(problems) > 20
    assert [problem for problem in problems if re.search(r"[Ii]nput|should|pattern|pars|[Ee]rrno", problem)] == []


def test_a_problem_is_named_as_its_value_was_given(tmp_path):
    file = tmp_path / ".env"
    file.write_text("ML_API_THREADS=many\n")
    problems = problems_of({"ML_API_DEVICE": "tpu"}, options={"corpus": Given("DIR", "README.txt")}, env_file=file)
    assert [problem.partition(": ")[0] for problem in problems] == ["DIR", "ML_API_DEVICE", f"ML_API_THREADS in {file}"]


def test_paths_keep_the_spelling_they_were_given_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("")
    assert problems_of({"ML_API_CORPUS": "README.md"}) == ("ML_API_CORPUS: README.md is not a folder",)
    assert problems_of({"ML_API_CORPUS": "Nowhere"}) == (
        f"ML_API_CORPUS: Nowhere is not a folder: there is no {tmp_path / 'Nowhere'}",
    )


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").write_text("")
    settings = load_settings(
        {
            "ML_API_CORPUS": "~",
            "ML_API_MODEL": "~/clip",
            "ML_API_DATA_DIR": "~/kept",
            "ML_API_MILVUS_URI": "~/vectors.db",
            "ML_API_MILVUS_TLS_CA": "~/ca.pem",
        }
    )
    assert settings.corpus == tmp_path
    assert settings.model == str(tmp_path / "clip")
    assert settings.data_dir == tmp_path / "kept"
    assert settings.store_uri == str(tmp_path / "vectors.db")
    assert settings.milvus_tls_ca == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    "url", ["s3://photos", "s3://photos/shop 1/2026", "memory://corpus", "gs://photos/x", "az://c@account.dfs/x"]
)
def test_a_corpus_may_be_a_url(url):
    assert load_settings({"ML_API_CORPUS": url}).corpus == url
    assert load_settings({"ML_API_CORPUS": f"{url}/"}).corpus == url


def test_a_file_url_is_the_folder(tmp_path):
    (tmp_path / "my pictures").mkdir()
    assert load_settings({"ML_API_CORPUS": f"file://{tmp_path}/my%20pictures"}).corpus == tmp_path / "my pictures"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "names no bucket; write s3://bucket"),
        ("simplecache::s3://photos", "URLs of several file systems (::) are not supported"),
        ("s3://key:hunter2@photos/x", "must not hold credentials"),
        ("s3:/photos", "is not a folder"),
        ("file:///no/such/folder", "is not a folder"),
    ],
)
def test_a_url_that_cannot_be_a_corpus_is_refused_without_showing_its_password(url, words):
    [problem] = problems_of({"ML_API_CORPUS": url})
    assert problem.startswith("ML_API_CORPUS: ")
    assert words in problem
    assert "hunter2" not in problem


def test_a_home_folder_that_cannot_be_told_is_named():
    [problem] = problems_of({"ML_API_DATA_DIR": "~nobody-of-this-name/data"})
    assert "~nobody-of-this-name/data" in problem
    assert "write the full path" in problem


def test_data_lie_in_one_place_told_from_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.data_dir == tmp_path / "data"
    assert settings.store_uri == str(tmp_path / "data" / "milvus.db")
    assert settings.thumbnails == tmp_path / "data" / "thumbnails"
    assert settings.sync_metrics == tmp_path / "data" / "sync.prom"


def test_what_kubernetes_injects_for_services_of_our_name_is_passed_over():
    injected = {
        "ML_API_SERVICE_HOST": "10.0.0.7",
        "ML_API_SERVICE_PORT": "80",
        "ML_API_SERVICE_PORT_HTTP": "80",
        "ML_API_PORT": "tcp://10.0.0.7:80",
        "ML_API_PORT_80_TCP": "tcp://10.0.0.7:80",
        "ML_API_PORT_80_TCP_PROTO": "tcp",
        "ML_API_PORT_80_TCP_PORT": "80",
        "ML_API_PORT_80_TCP_ADDR": "10.0.0.7",
        "ML_API_METRICS_SERVICE_HOST": "10.0.0.8",
        "ML_API_METRICS_PORT": "tcp://10.0.0.8:9464",
        "ML_API_METRICS_PORT_9464_TCP_ADDR": "10.0.0.8",
        "ML_API_GPU_PORT": "tcp://10.0.0.9:80",
    }
    assert load_settings(injected) == load_settings({})


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


def test_secrets_are_not_quoted_back():
    settings = load_settings({"ML_API_MILVUS_TOKEN": "root:hunter2"})
    assert "hunter2" not in repr(settings)
    [problem] = problems_of({"ML_API_MILVUS_URI": "ftp://root:hunter2@host"})
    assert "hunter2" not in problem
    assert "ftp://…@host" in problem


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        load_settings({}).port = 1


def test_a_name_is_a_variable_and_an_option():
    assert environment_name("data_dir") == "ML_API_DATA_DIR"
    assert option_name("data_dir") == "--data-dir"


class TestWhatACommandNeeds:
    """Checked with the values, so that all of it is told at once."""

    @pytest.fixture
    def given(self, tmp_path):
        """Settings that `serve` can start with."""
        (tmp_path / "images").mkdir()
        ports = {}
        for field in ("port", "metrics_port"):
            with socket.create_server(("127.0.0.1", 0)) as probe:
                ports[field] = probe.getsockname()[1]
        values = {"corpus": tmp_path / "images", "data_dir": tmp_path / "data", **ports}
        return {environment_name(field): str(value) for field, value in values.items()}

    def test_nothing_is_wrong_with_what_works(self, given):
        assert isinstance(load_settings(given, command="serve"), Settings)
        assert isinstance(load_settings(given, command="sync"), Settings)

    def test_ports_in_use_are_told_with_everything_else(self, given):
        with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
            port, metrics_port = (taken.getsockname()[1] for taken in (one, other))
            taken = {"ML_API_PORT": str(port), "ML_API_METRICS_PORT": str(metrics_port)}
            problems = problems_of(given | taken | {"ML_API_DEVICE": "tpu", "ML_API_CORPUS": ""}, command="serve")
        told = "\n".join(problems)
        assert len(problems) == 4
        assert f"ML_API_PORT: port {port} of 127.0.0.1 is in use, perhaps by another instance of this service" in told
        assert f"ML_API_METRICS_PORT: port {metrics_port} of 127.0.0.1 is in use" in told
        assert "choose another" in told
        assert "--corpus or ML_API_CORPUS: name the folder of images" in told

    def test_a_port_of_default_that_is_in_use_names_what_chooses_another(self, given):
        del given["ML_API_PORT"]
        try:
            with socket.create_server(("127.0.0.1", 8420)):
                [problem] = problems_of(given, command="serve")
        except OSError:  # something else has it, which is as good
            [problem] = problems_of(given, command="serve")
        assert problem.startswith("--port or ML_API_PORT: port 8420")

    def test_the_metrics_need_a_port_of_their_own(self, given):
        [problem] = problems_of(given | {"ML_API_METRICS_PORT": given["ML_API_PORT"]}, command="serve")
        assert problem.startswith("ML_API_METRICS_PORT")

    def test_a_host_that_is_not_this_machine_is_named(self, given):
        [problem] = problems_of(given | {"ML_API_HOST": "192.0.2.1"}, command="serve")
        assert problem.startswith("ML_API_HOST: 192.0.2.1 is no address of this machine")

    def test_a_sync_needs_no_port(self, given):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            load_settings(given | {"ML_API_PORT": str(taken.getsockname()[1])}, command="sync")

    def test_a_store_elsewhere_needs_its_own_place_and_a_service_no_other(self, given, tmp_path):
        (tmp_path / "file").write_text("")
        elsewhere = given | {"ML_API_DATA_DIR": str(tmp_path / "file" / "data"), "ML_API_MILVUS_URI": str(tmp_path / "store.db")}
        assert load_settings(elsewhere, command="serve").store_uri == str(tmp_path / "store.db")
        [problem] = problems_of(given | {"ML_API_MILVUS_URI": str(tmp_path / "file" / "store.db")}, command="serve")
        assert problem.startswith(f"ML_API_MILVUS_URI: {tmp_path / 'file'} is not a folder")

    @pytest.mark.parametrize("command", ["serve", "sync"])
    def test_data_below_a_file_are_refused(self, given, command, tmp_path):
        (tmp_path / "file").write_text("")
        [problem] = problems_of(given | {"ML_API_DATA_DIR": str(tmp_path / "file" / "data")}, command=command)
        assert problem == f"ML_API_DATA_DIR: {tmp_path / 'file'} is not a folder (got '{tmp_path / 'file' / 'data'}')"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"ML_API_INDEX": "FLAT", "ML_API_HNSW_EF": "64"}, "ML_API_HNSW_EF: belongs to the index HNSW, but ML_API_INDEX is FLAT"),
        (
            {"ML_API_IVF_NPROBE": "8"},
            "ML_API_IVF_NPROBE: belongs to the index IVF_FLAT or IVF_SQ8 or IVF_PQ or SCANN, but ML_API_INDEX is HNSW",
        ),
        ({"ML_API_INDEX": "SCANN", "ML_API_PQ_M": "8"}, "ML_API_PQ_M: belongs to the index IVF_PQ, but ML_API_INDEX is SCANN"),
    ],
)
def test_a_parameter_of_another_index_is_a_problem_even_at_its_default(given, problem):
    assert problems_of(given) == (problem,)


@pytest.mark.parametrize("index", ["HNSW", "FLAT", "IVF_FLAT", "IVF_SQ8", "IVF_PQ", "SCANN", "DISKANN"])
def test_each_index_takes_its_own_parameters(index):
    fields = {
        name: declared.default
        for name, declared in Settings.model_fields.items()
        for mark in declared.metadata
        if isinstance(mark, OfIndex) and index in mark.kinds
    }
    settings = load_settings({"ML_API_INDEX": index} | {environment_name(name): str(value) for name, value in fields.items()})
    assert settings.index == index
    assert bool(fields) == (index != "FLAT")


def test_a_bucket_cannot_be_watched_and_the_refusal_names_the_way_out():
    problems = problems_of({"ML_API_CORPUS": "s3://photos", "ML_API_WATCH": "yes"}, command="serve")
    [problem] = [problem for problem in problems if "in use" not in problem]  # another service may have the usual ports
    assert "POST /v1/events" in problem
    assert load_settings({"ML_API_CORPUS": "s3://photos", "ML_API_WATCH": "yes"}, command="sync").watch
