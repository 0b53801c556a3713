"""How a ranking is presented: grouped, in another order, with facets."""

from dataclasses import dataclass
from typing import Final

from ml_api.search.grouping import Grouping
from ml_api.vectors.filters import Field


@dataclass(frozen=True, slots=True)
class Sort:
    """The order of the values of a field (`search.sorting`)."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the ranking is presented."""

    group: Grouping | None = None
    diversity: float = 0.0
    """0 to 1: how much hits that differ from those before them are preferred to relevant ones (`search.diversity`)."""
    facets: tuple[Field, ...] = ()
    """Metadata fields whose values are counted."""
    sort: Sort | None = None
    """Not together with `diversity`."""

    @property
    def order(self) -> tuple[Grouping | None, float, Sort | None]:
        """What decides which hits are shown where."""
        return self.group, self.diversity, self.sort

    @property
    def reorders(self) -> bool:
        """Whether hits are shown in another order than that of the ranking, or fewer of them."""
        return self.group is not None or self.diversity > 0 or self.sort is not None


AS_RANKED: Final = Arrangement()
