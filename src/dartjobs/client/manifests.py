"""Read a manifest so that no field of it is passed over unseen: what nobody takes is refused by its name."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from dartjobs.models.problem import FieldProblem

NOT_OFFERED = "it cannot be honoured: leave it out"


class Refusals:
    """The fields that were refused."""

    def __init__(self, ignored: Collection[str]) -> None:
        self.found: list[FieldProblem] = []
        self._ignored = frozenset(ignored)

    def add(self, path: str, detail: str) -> None:
        """Refuse a field, unless its name is to be ignored."""
        self.found.append(FieldProblem(path, detail))

    def ignores(self, name: str) -> bool:
        """Whether fields of this name are passed over."""
        return name in self._ignored


class Fields:
    """A mapping at a place in the manifest, and which of its fields are still to be taken."""

    def __init__(self, value: object, place: str, refusals: Refusals) -> None:
        self.refusals = refusals
        self._place = place
        self._left: dict[str, Any] = {}
        if isinstance(value, Mapping):
            self._left = {str(key): one for key, one in value.items() if not refusals.ignores(str(key))}
        elif value is not None:
            refusals.add(place or "manifest", "it should be a mapping")

    def path(self, key: str) -> str:
        """The dotted place of one of its fields."""
        return f"{self._place}.{key}" if self._place else key

    def take(self, key: str) -> Any:  # noqa: ANN401 - as YAML has it
        """The field's value; None where it is absent."""
        return self._left.pop(key, None)

    def need(self, key: str) -> Any:  # noqa: ANN401 - as YAML has it
        """The field's value; it is refused that there is none."""
        value = self.take(key)
        if value in (None, ""):
            self.refuse(key, "it is required")
        return value

    def count(self, key: str) -> int:
        """The field as a number; 0 where it is absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, int):
            self.refuse(key, "it should be a number")
            return 0
        return value or 0

    def take_all(self, which: Callable[[str], bool] = bool) -> dict[str, Any]:
        """Every field whose name is one of those."""
        return {key: self._left.pop(key) for key in list(self._left) if which(key)}

    def leave(self, *keys: str) -> None:
        """Pass over these: they ask for nothing, or for what is so anyhow."""
        for key in keys:
            self._left.pop(key, None)

    def is_mapping(self, key: str) -> bool:
        """Whether the field holds fields itself."""
        return isinstance(self._left.get(key), Mapping)

    def into(self, key: str) -> "Fields":
        """The fields of a field; none where it is absent."""
        return Fields(self.take(key), self.path(key), self.refusals)

    def each(self, key: str) -> list["Fields"]:
        """The fields of each item of a list."""
        items = self.take(key) or []
        if not isinstance(items, list):
            self.refuse(key, "it should be a list")
            return []
        return [Fields(one, f"{self.path(key)}[{place}]", self.refusals) for place, one in enumerate(items)]

    def refuse(self, key: str, detail: str) -> None:
        """Refuse one field."""
        if not self.refusals.ignores(key):
            self.refusals.add(self.path(key), detail)

    def refuse_whole(self, detail: str) -> None:
        """Refuse all of it, as one."""
        self._left.clear()
        self.refusals.add(self._place, detail)

    def refuse_rest(self, hints: Mapping[str, str] | None = None, default: str = NOT_OFFERED) -> None:
        """Refuse what was not taken and asks for something: an empty value, 0 and false do not."""
        for key, value in self._left.items():
            if value:
                self.refuse(key, (hints or {}).get(key, default))
        self._left.clear()
