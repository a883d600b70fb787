"""Which names a person wants to leave out: hidden ones, and patterns."""

import fnmatch
import re
import stat
from dataclasses import dataclass, field
from os import DirEntry

from app.domain.paths import SkipReason


@dataclass(frozen=True, slots=True)
class Rules:
    """*exclude* holds file-name patterns (``fnmatch``, capitals do not count). What is dropped itself is always taken."""

    include_hidden: bool = True
    exclude: tuple[str, ...] = ()
    _excluded: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterns = "|".join(fnmatch.translate(pattern) for pattern in self.exclude)
        object.__setattr__(self, "_excluded", re.compile(patterns, re.IGNORECASE) if patterns else None)

    def reason(self, entry: DirEntry[str]) -> SkipReason | None:
        """Return why the file or folder is left out, or None."""
        if self._excluded is not None and self._excluded.match(entry.name):
            return SkipReason.EXCLUDED
        if not self.include_hidden and (entry.name.startswith(".") or _hidden_by_windows(entry)):
            return SkipReason.HIDDEN
        return None


def _hidden_by_windows(entry: DirEntry[str]) -> bool:
    attributes: int = getattr(entry.stat(follow_symlinks=False), "st_file_attributes", 0)
    return bool(attributes & stat.FILE_ATTRIBUTE_HIDDEN)
