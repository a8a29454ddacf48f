"""The choice of features by name, with `*` and `?`, as in the configuration."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

__all__ = ["require_names", "select"]


def select(patterns: str | Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that fit, each once, in the order of the patterns.

    A pattern may hold several with commas between, as `--features` does. Raises ValueError with the
    nearest name for a pattern that fits none.
    """
    texts = patterns.split(",") if isinstance(patterns, str) else list(patterns)
    chosen: dict[str, None] = {}
    for text in texts:
        if "*" in text or "?" in text:
            # Brackets mean themselves.
            glob = text.replace("[", "[[]")
            fitting = [name for name in names if fnmatch.fnmatchcase(name, glob)]
            if not fitting:
                raise ValueError(f"features: {text!r} matches no column")
        else:
            require_names(names, [text])
            fitting = [text]
        chosen.update(dict.fromkeys(fitting))
    return list(chosen)


def require_names(names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises ValueError with the nearest name if a wanted column is absent."""
    known = set(names)
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, [str(other) for other in names], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"expected a column {name!r}, found none{hint}")
