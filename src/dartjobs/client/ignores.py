"""What `.gitignore` and `.rayignore` files leave out, judged path by path as git does: https://git-scm.com/docs/gitignore.

Two things differ: `?` and `[…]` stand for one character here, for one byte of it with git; and a class within brackets,
such as `[[:digit:]]`, and a slash within brackets are not understood, as pathspec understands neither.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

_SLASH_IN_BRACKETS = re.compile(r"(?<!\\)\[!?\]?[^\]]*/[^\]]*\]")
IGNORE_FILES = (".gitignore", ".rayignore")
"""Each kind stands on its own, as with Ray: what one ignores, the other cannot bring back."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file."""

    pattern: "GitIgnoreSpecPattern"
    only_folders: bool

    def names(self, path: str, *, is_folder: bool) -> bool:
        """Whether it names this very path: a path below one that it names was left out with that one, or is not."""
        if self.only_folders and not is_folder:
            return False
        found = self.pattern.match_file(path)
        # pathspec matches what lies below a named path too, and captures the slash between the two.
        return found is not None and found.match.lastgroup is None


@dataclass(frozen=True, slots=True)
class IgnoreFile:
    """The rules of one file: its kind, and the folder that it lies in (empty, or with a slash at its end)."""

    kind: str
    base: str
    rules: tuple[Rule, ...]

    def decides(self, path: str, *, is_folder: bool) -> bool | None:
        """Whether the last rule that names the path ignores it; None where none names it."""
        inner = path[len(self.base) :]
        for rule in reversed(self.rules):
            if rule.names(inner, is_folder=is_folder):
                return rule.pattern.include
        return None


def parse(kind: str, base: str, text: str) -> tuple[IgnoreFile, list[str]]:
    """The rules in the text of an ignore file, and the lines that are not understood."""
    rules, invalid = [], []
    for line in map(_stripped, text.split("\n")):
        try:
            pattern = _pattern(line.removesuffix("/"))
        except (ValueError, re.error):
            invalid.append(line)
            continue
        if pattern.include is not None:
            rules.append(Rule(pattern, only_folders=line.endswith("/")))
    return IgnoreFile(kind, base, tuple(rules)), invalid


def ignored(path: str, files: Sequence[IgnoreFile], *, is_folder: bool) -> bool:
    """Whether either kind of file ignores the path; of one kind the innermost that names it decides.

    `files` are those of the folders that hold the path, outermost first; none of those folders is ignored itself.
    """
    for kind in IGNORE_FILES:
        decisions = (file.decides(path, is_folder=is_folder) for file in reversed(files) if file.kind == kind)
        if next((decision for decision in decisions if decision is not None), False):
            return True
    return False


def _pattern(text: str) -> "GitIgnoreSpecPattern":
    """Compile it.

    Raises:
        ValueError: it is not understood; pathspec's own error is one.
        re.error: it is not either.
    """
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    if "[[" in text or _SLASH_IN_BRACKETS.search(text):
        raise ValueError(text)
    return GitIgnoreSpecPattern(text)


def _stripped(line: str) -> str:
    line = line.removesuffix("\r")
    return line if line.endswith("\\ ") else line.rstrip(" ")
