"""Label selectors, written as `kubectl -l` takes them: `env=prod,tier in (web,api),!draft`.

Grammar and meaning are Kubernetes's: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from dartjobs.models.spec import LabelKey, LabelValue

LONGEST_SELECTOR = 4_096
"""Characters."""
MOST_REQUIREMENTS = 16
MOST_VALUES = 64
_TOKEN = re.compile(r"\s*(==|!=|[=!(),]|[^\s=!(),]+)")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", ""})
_KEY: TypeAdapter[str] = TypeAdapter(LabelKey)
_VALUE: TypeAdapter[str] = TypeAdapter(LabelValue)


class Operator(StrEnum):
    """How a requirement compares."""

    IN = "in"
    """The key is there, with one of the values. `=` and `==` are this with one value."""
    NOT_IN = "notin"
    """The key is absent, or has none of the values. `!=` is this with one value."""
    EXISTS = "exists"
    """The key is there."""
    ABSENT = "!"
    """The key is not there."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of a selector's parts; all of them must hold."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet it."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.ABSENT:
                return value is None


class SelectorError(ValueError):
    """The text is no label selector; the message names the place."""


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector; none for an empty text, which everything matches.

    Raises:
        SelectorError: it is none, or too large.
    """
    if len(text) > LONGEST_SELECTOR:
        msg = f"the selector has {len(text)} characters; the limit is {LONGEST_SELECTOR}"
        raise SelectorError(msg)
    return _Parser(text).selector()


def all_hold(requirements: Iterable[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether labels match a selector."""
    return all(one.holds(labels) for one in requirements)


class _Parser:
    """Reads from left to right; `at` is where the next token begins."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._tokens = [(found.group(1), found.start(1)) for found in _TOKEN.finditer(self._text)]
        self._next = 0

    def selector(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while self._tokens:
            found.append(self._requirement())
            if len(found) > MOST_REQUIREMENTS:
                self._fail(f"more than {MOST_REQUIREMENTS} requirements")
            if self._peek() == "":
                break
            self._expect(",")
        return tuple(found)

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._word(_KEY, "a label's key"), Operator.ABSENT)
        key = self._word(_KEY, "a label's key")
        match self._peek():
            case "" | ",":
                return Requirement(key, Operator.EXISTS)
            case "=" | "==":
                self._take()
                return Requirement(key, Operator.IN, (self._value(),))
            case "!=":
                self._take()
                return Requirement(key, Operator.NOT_IN, (self._value(),))
            case "in" | "notin" as operator:
                self._take()
                return Requirement(key, Operator(operator), self._values())
            case _:
                return self._fail("expected =, ==, !=, in, notin, or a comma")

    def _values(self) -> tuple[str, ...]:
        self._expect("(")
        values = [self._value()]
        while self._peek() == ",":
            self._take()
            values.append(self._value())
            if len(values) > MOST_VALUES:
                self._fail(f"more than {MOST_VALUES} values")
        self._expect(")")
        return tuple(dict.fromkeys(values))

    def _value(self) -> str:
        return "" if self._peek() in {"", ",", ")"} else self._word(_VALUE, "a label's value")

    def _word(self, kind: TypeAdapter[str], what: str) -> str:
        word = self._peek()
        if word in _SYMBOLS:
            self._fail(f"expected {what}")
        try:
            kind.validate_python(word)
        except ValidationError:
            self._fail(f"{word!r} is not {what}")
        self._take()
        return word

    def _expect(self, token: str) -> None:
        if self._peek() != token:
            self._fail(f"expected {token!r}")
        self._take()

    def _peek(self) -> str:
        return self._tokens[self._next][0] if self._next < len(self._tokens) else ""

    def _take(self) -> None:
        self._next += 1

    def _fail(self, what: str) -> "Requirement":
        at = self._tokens[self._next][1] if self._next < len(self._tokens) else len(self._text)
        msg = f"{what} at character {at + 1} of {self._text!r}"
        raise SelectorError(msg)
