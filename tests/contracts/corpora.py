"""The places that the contract suite keeps corpora in: something that others write into, and a Corpus over it."""

from ml_api.corpus.folder import FolderCorpus


class FolderPlace:
    def __init__(self, root):
        self.root = root
        root.mkdir()

    def corpus(self, **options):
        return FolderCorpus(self.root, **options)

    def put(self, key, data):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def everything(self):
        """All that is there, by key."""
        return {path.relative_to(self.root).as_posix(): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def named(self, key):
        """What a notification calls a file."""
        return f"{self.root}/{key}"
