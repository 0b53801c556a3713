"""The root of the errors."""

from typing import ClassVar


class MlApiError(Exception):
    """Root of the tree. `detail` may reach the client, so it never quotes a foreign exception blindly."""

    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.slug = code or self.code
