"""What the service lacks: capacity, a part of it, time, a plan or a configuration that makes sense."""

from typing import Literal

from ml_api.errors.base import MlApiError

Overload = Literal["queue_full", "memory_full", "decoding", "busy"]
"""Of what there is too much: requests, bodies in memory, images being decoded; or one of the rarer things."""


class Overloaded(MlApiError):
    """`reason` is for metrics, `detail` for people."""

    code = "overloaded"

    def __init__(self, detail: str, *, reason: Overload = "busy") -> None:
        super().__init__(detail)
        self.reason = reason


class Unavailable(MlApiError):
    code = "unavailable"


class Starting(Unavailable):
    code = "starting"


class ShuttingDown(Unavailable):
    code = "shutting-down"


class ModelUnavailable(Unavailable):
    code = "model-unavailable"


class ModelOutOfMemory(ModelUnavailable):
    code = "model-out-of-memory"

    def __init__(self, detail: str = "The model ran out of memory.") -> None:
        super().__init__(detail)


class NonFiniteVector(ModelUnavailable):
    """No vector to be compared or stored."""

    code = "model-not-finite"

    def __init__(self, detail: str = "The model returned a vector that is not finite.") -> None:
        super().__init__(detail)


StoreFailure = Literal["timeout", "unreachable", "refused", "closed", "failed"]


class StoreUnavailable(Unavailable):
    """`reason` is for metrics, `detail` for people."""

    code = "store-unavailable"

    def __init__(self, detail: str, *, reason: StoreFailure = "failed", code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.reason = reason


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"


class DatabaseFull(DatabaseUnavailable):
    """Nothing was changed; it goes on once there is room."""

    code = "database-full"


class CorpusUnavailable(Unavailable):
    code = "corpus-unavailable"


class DeadlineExceeded(MlApiError):
    code = "deadline-exceeded"


class SyncRefused(MlApiError):
    code = "sync-refused"


class ConfigError(MlApiError):
    """Raised at startup only. `problems` lists everything that is wrong, so that one run shows it all."""

    code = "config-error"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NothingIndexed(ConfigError):
    """There is no collection, where none is to be made."""

    code = "nothing-indexed"


class ModelReplaced(ConfigError):
    """The configured model was in use until `migrate` put another in its place, which `setting` finds; empty if unknown."""

    code = "model-replaced"

    def __init__(self, problem: str, *, setting: str) -> None:
        super().__init__(problem)
        self.setting = setting
