"""One suite for every Corpus: what is listed is what `version` knows, what is written is listed, and no key leads out."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_api.corpus.base import Coverage, PassedOver, size_told_by
from ml_api.corpus.versions import MISSING
from ml_api.deadline import Deadline
from ml_api.errors import InvalidKey, NotFound, PreconditionFailed, TooLarge
from tests.files.metadata_files import ReadMetadata

HOSTILE = {
    "": "it is empty",
    "/etc/passwd.jpg": "it begins with a slash",
    "../outside.jpg": "'..'",
    "a/../../outside.jpg": "'..'",
    "./a.jpg": "'.'",
    "a//b.jpg": "empty part",
    "folder/": "empty part",
    "nul\0.jpg": "control character",
    "line\nbreak.jpg": "control character",
    "surrogate\udcff.jpg": "not valid Unicode",
    f"{'d/' * 2048}a.jpg": "at most 1,024",
    ".hidden.jpg": "begins with a dot",
    "a/.git/b.jpg": "begins with a dot",
    "notes.txt": "not that of an image",
    "metadata.jsonl": "not that of an image",
    "#recycle/a.jpg": "ignored",
    "drafts/a.jpg": "ignored",
    "drafts/deep/a.jpg": "ignored",
}
"""Keys that nobody may write, with a word of the reason. Corpora of these tests ignore `drafts/`."""


def keys(corpus, **options):
    return [file.key for file in corpus.list(**options)]


def test_files_are_listed_in_the_order_of_their_keys(place):
    names = ["b.jpg", "a/z.PNG", "a.webp", "a/b/c.heic", "a-b.jpg", "a b/c.jpg", "ü.jpg", "日本/語.jpg", "Z.jpg", "a/b.jpg"]
    for name in names:
        place.put(name, name.encode())
    assert keys(place.corpus()) == sorted(names)


def test_an_empty_corpus_lists_nothing(place):
    assert keys(place.corpus()) == []


def test_a_prefix_limits_a_listing(place):
    for name in ("a/1.jpg", "a/b/2.jpg", "ab.jpg", "b/3.jpg", "a.jpg"):
        place.put(name, b"x")
    corpus = place.corpus()
    assert keys(corpus, prefix="a/") == ["a/1.jpg", "a/b/2.jpg"]
    assert keys(corpus, prefix="a/b") == ["a/b/2.jpg"]
    assert keys(corpus, prefix="a") == ["a.jpg", "a/1.jpg", "a/b/2.jpg", "ab.jpg"]
    assert keys(corpus, prefix="c") == keys(corpus, prefix="../") == keys(corpus, prefix="/") == []


def test_what_is_left_out_is_counted_once_a_folder(place):
    for name in (
        "a.jpg",
        "notes.txt",
        "noext",
        ".hidden.jpg",
        ".git/1.jpg",
        ".git/2.jpg",
        "sub/@eaDir/1.jpg",
        "sub/@eaDir/2.jpg",
        "sub/b.jpg",
        "drafts/1.jpg",
        "drafts/2.jpg",
        "old-1.jpg",
        "metadata.csv",
        ".mlapiignore",
    ):
        place.put(name, b"old-*\n" if name == ".mlapiignore" else b"x")
    coverage = Coverage()
    assert keys(place.corpus(ignore=["drafts/"]), coverage=coverage) == ["a.jpg", "sub/b.jpg"]
    assert coverage.passed_over == {PassedOver.OTHER_ENDING: 2, PassedOver.HIDDEN: 3, PassedOver.IGNORED: 3}
    assert coverage.endings == {".txt": 1, "": 1}
    assert not coverage.unlisted


def test_only_included_files_are_listed(place):
    for name in ("shop/1.jpg", "shop/2.png", "shop/deep/3.jpg", "other/4.jpg"):
        place.put(name, b"x")
    assert keys(place.corpus(include=["/shop/**/*.jpg"])) == ["shop/1.jpg", "shop/deep/3.jpg"]
    assert keys(place.corpus(include=["*.jpg"], ignore=["deep/"])) == ["other/4.jpg", "shop/1.jpg"]
    with pytest.raises(NotFound):
        place.corpus(include=["*.jpg"]).version("shop/2.png")


def test_the_version_is_that_of_the_listing_and_changes_with_the_bytes(place):
    place.put("a.jpg", b"one")
    corpus = place.corpus()
    [listed] = corpus.list()
    assert corpus.version("a.jpg") == listed.version
    place.put("a.jpg", b"another")
    [changed] = corpus.list()
    assert corpus.version("a.jpg") == changed.version != listed.version


@pytest.mark.parametrize("key", [*HOSTILE, "nowhere.jpg", "a.jpg/b.jpg", "a"])
def test_what_is_not_listed_has_no_version(place, key):
    for name in ("a.jpg", "a/c.jpg", "drafts/a.jpg", "#recycle/a.jpg", "notes.txt"):
        place.put(name, b"x")
    with pytest.raises(NotFound):
        place.corpus(ignore=["drafts/"]).version(key)


def test_what_is_written_is_listed_and_read(place):
    corpus = place.corpus()
    version = corpus.write("a/b/photo.jpg", b"one")
    [listed] = corpus.list()
    assert (listed.key, listed.version) == ("a/b/photo.jpg", version)
    assert corpus.version("a/b/photo.jpg") == version
    assert corpus.read("a/b/photo.jpg", 100) == b"one"


def test_a_version_tells_the_size_unless_it_is_an_etag(place):
    corpus = place.corpus()
    versions = [corpus.write("a.jpg", 1234 * b"x")]
    place.put("a.json", b"{}")
    versions += [corpus.version("a.jpg"), f"{corpus.version('a.jpg')}-0a1b2c3d"]  # with a sidecar, and as it is stored
    assert {size_told_by(version) for version in versions} == {1234 if place.tells_sizes else None}


def test_a_replacement_of_equal_size_has_another_version(place):
    corpus = place.corpus()
    versions = [corpus.write("a.jpg", bytes([number])) for number in range(20)]
    assert len(set(versions)) == len(versions)
    assert corpus.read("a.jpg", 100) == bytes([19])
    assert corpus.version("a.jpg") == versions[-1]


def test_what_is_deleted_is_gone(place):
    corpus = place.corpus()
    corpus.write("a/b.jpg", b"one")
    corpus.delete("a/b.jpg")
    assert keys(corpus) == []
    for gone in (lambda: corpus.version("a/b.jpg"), lambda: corpus.read("a/b.jpg", 10), lambda: corpus.delete("a/b.jpg")):
        with pytest.raises(NotFound, match=r"a/b\.jpg"):
            gone()


def test_a_file_is_written_and_deleted_only_if_it_is_the_expected_one(place):
    corpus = place.corpus()
    first = corpus.write("a/b.jpg", b"one", MISSING)
    for change in (
        lambda: corpus.write("a/b.jpg", b"two", MISSING),
        lambda: corpus.write("a/b.jpg", b"two", f"{first}0"),
        lambda: corpus.write("a/c.jpg", b"two", first),
        lambda: corpus.delete("a/b.jpg", f"{first}0"),
        lambda: corpus.delete("a/b.jpg", MISSING),
    ):
        with pytest.raises(PreconditionFailed, match="changed by another program"):
            change()
    assert (keys(corpus), corpus.read("a/b.jpg", 9)) == (["a/b.jpg"], b"one")
    second = corpus.write("a/b.jpg", b"two", first)
    assert corpus.read("a/b.jpg", 9) == b"two"
    with pytest.raises(PreconditionFailed):
        corpus.delete("a/b.jpg", first)
    corpus.delete("a/b.jpg", second)
    assert keys(corpus) == []


def test_the_expected_version_may_be_that_beside_a_sidecar(place):
    corpus = place.corpus()
    corpus.write("a.jpg", b"one")
    place.put("a.json", b"{}")
    corpus.write("a.jpg", b"two", corpus.version("a.jpg"))
    corpus.delete("a.jpg", corpus.version("a.jpg"))
    assert keys(corpus) == []


@pytest.mark.parametrize(("key", "rule"), HOSTILE.items())
def test_a_hostile_key_is_refused_by_its_rule_and_nothing_is_written(place, key, rule):
    corpus = place.corpus(ignore=["drafts/"])
    with pytest.raises(InvalidKey) as refused:
        corpus.write(key, b"x")
    assert rule in refused.value.detail
    assert place.everything() == {}


@pytest.mark.parametrize("key", ["", "/etc/passwd.jpg", "../outside.jpg", "a//b.jpg", "nul\0.jpg", "notes.txt", "drafts/a.jpg"])
def test_a_hostile_key_deletes_nothing(place, key):
    place.put("notes.txt", b"x")
    place.put("drafts/a.jpg", b"x")
    with pytest.raises(InvalidKey):
        place.corpus(ignore=["drafts/"]).delete(key)
    assert set(place.everything()) == {"notes.txt", "drafts/a.jpg"}


def test_two_unicode_forms_of_a_name_are_two_keys(place):
    corpus = place.corpus()
    composed, decomposed = "Caf\u00e9.jpg", "Cafe\u0301.jpg"
    corpus.write(composed, b"one")
    corpus.write(decomposed, b"two")
    assert keys(corpus) == sorted([composed, decomposed])
    assert (corpus.read(composed, 10), corpus.read(decomposed, 10)) == (b"one", b"two")


def test_odd_names_are_kept_as_they_are(place):
    corpus = place.corpus()
    names = [
        "a b.jpg",
        "100%.jpg",
        "q?x=1&y.jpg",
        "#1.jpg",
        "back\\slash.jpg",
        "[x]*.jpg",
        "+.jpg",
        "quote'\".jpg",
        "~.jpg",
        "a%2Fb.jpg",
    ]
    for name in names:
        corpus.write(name, name.encode())
    assert keys(corpus) == sorted(names)
    assert all(corpus.read(name, 100) == name.encode() for name in names)


def test_a_file_over_the_limit_is_refused(place):
    place.put("a.jpg", b"x" * 101)
    with pytest.raises(TooLarge, match="100 bytes"):
        place.corpus().read("a.jpg", 100)
    assert place.corpus().read("a.jpg", 101) == b"x" * 101


def test_an_empty_file_is_read(place):
    place.put("a.jpg", b"")
    assert place.corpus().read("a.jpg", 100) == b""


def test_a_photograph_of_a_camera_comes_back_byte_for_byte(place):
    data = hashlib.shake_256(b"noise").digest(12_000_000)
    corpus = place.corpus()
    corpus.write("DCIM/IMG_0001.JPG", data)
    assert corpus.read("DCIM/IMG_0001.JPG", 32_000_000, Deadline.within(60)) == data


def test_many_threads_write_one_key_and_one_of_them_wins(place):
    corpus = place.corpus()
    bodies = [bytes([number]) * 200_000 for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        written = dict(zip(threads.map(lambda body: corpus.write("a.jpg", body), bodies), bodies, strict=True))
    assert corpus.read("a.jpg", 200_000) == written[corpus.version("a.jpg")]
    assert set(place.everything()) == {"a.jpg"}


def test_no_two_of_many_writes_have_one_version(place):
    """Within a millisecond times of files stand still: a third could have that of the first."""
    corpus = place.corpus()
    versions = [corpus.write("a.jpg", bytes([number]) * 100) for number in range(20)]
    assert len(set(versions)) == len(versions)


def test_a_notification_is_mapped_to_its_key(place):
    corpus = place.corpus()
    assert corpus.key_of(place.named("a/b.jpg")) == "a/b.jpg"
    assert corpus.key_of(place.named("a b+ü.jpg")) == "a b+ü.jpg"
    for elsewhere in (place.named("../x.jpg"), place.named(""), "elsewhere/x.jpg", "/x.jpg", "", "nul\0"):
        assert corpus.key_of(elsewhere) is None


def test_metadata_is_read_from_the_root(place):
    place.put("metadata.csv", b"key,caption\na.jpg,one\n")
    found = ReadMetadata(place.corpus())
    assert (found.by_key, found.problems, found.complete) == ({"a.jpg": {"caption": "one"}}, (), True)


def test_a_thousand_files_and_more_are_listed_once_each(place):
    names = [f"{number % 7}/{number:04}.jpg" for number in range(1_250)]
    place.put_many(names)
    corpus = place.corpus()
    assert keys(corpus) == sorted(names)
    assert keys(corpus, prefix="3/") == sorted(name for name in names if name.startswith("3/"))


def test_a_version_tells_that_metadata_changed(place):
    corpus = place.corpus()
    versions = [corpus.metadata_version()]
    for name, data in (("metadata.csv", b"key\na.jpg\n"), ("metadata.csv", b"key\nlonger.jpg\n"), ("metadata.jsonl", b"{}")):
        place.put(name, data)
        versions.append(corpus.metadata_version())
    assert len(set(versions)) == 4
    place.put("a.jpg", b"no metadata")
    assert corpus.metadata_version() == versions[-1]


def test_the_images_beside_a_sidecar_are_found_whether_it_is_there_or_not(place):
    for key in ("a/rex.1.jpg", "a/rex.png", "a/rex.JPG", "a/rex-2.jpg", "b/rex.png", "a/rex.txt", "rex.jpg"):
        place.put(key, b"an image")
    for key in ("a/max.Jpg", "a/max.JPeG", "a/max.wEBp"):
        place.put(key, b"an image")
    corpus = place.corpus()
    assert sorted(corpus.beside("a/rex.json")) == ["a/rex.JPG", "a/rex.png"]
    assert sorted(corpus.beside("a/max.json")) == ["a/max.JPeG", "a/max.Jpg", "a/max.wEBp"]
    assert list(corpus.beside("rex.json")) == ["rex.jpg"]
    for other in ("a/none.json", "", "../rex.json", "/a/rex.json", "a/rex\0.json", "a//rex.json", f"a/{'x' * 4096}.json"):
        assert list(corpus.beside(other)) == []


def test_a_sidecar_is_part_of_the_version_of_its_image_and_of_no_other(place):
    for key in ("a/rex.1.jpg", "a/rex.png", "a/rex-2.jpg", "b/rex.png", "a/rex.jpg.txt"):
        place.put(key, b"an image")
    place.put("a/lonely.json", b"{}")
    corpus = place.corpus()
    before = {file.key: file.version for file in corpus.list()}
    place.put("a/rex.json", b'{"caption": "Rex"}')
    coverage = Coverage()
    after = {file.key: file.version for file in corpus.list(coverage)}
    assert [key for key in after if after[key] != before[key]] == ["a/rex.png"]
    assert list(after) == list(before)
    assert coverage.endings == {".json": 1, ".txt": 1}
    for key, version in after.items():
        assert corpus.version(key) == version
    place.put("a/rex.json", b'{"caption": "Max the dog"}')
    assert corpus.version("a/rex.png") != after["a/rex.png"]
