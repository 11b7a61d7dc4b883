"""Values as text in TOML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from invopt.core.formatting import shown

__all__ = ["as_toml"]

# Keys that need no quotes (TOML 1.0, "Keys").
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def as_toml(content: Mapping[str, Any]) -> str:
    """Return texts, numbers, lists and mappings as TOML.

    Mappings at the top are tables, and lists of mappings are arrays of tables.

    Raises
    ------
    ValueError
        If there is a value that TOML does not have, such as None.
    """
    return "\n".join(_lines(content)) + "\n"


def _lines(content: Mapping[str, Any]) -> Iterator[str]:
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping) or _are_tables(value)}
    for key, value in content.items():
        if key not in tables:
            yield _pair(key, value)
    for key, value in tables.items():
        several = isinstance(value, list)
        for table in value if several else [value]:
            yield ""
            yield f"[[{_key(key)}]]" if several else f"[{_key(key)}]"
            yield from (_pair(name, item) for name, item in table.items())


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _pair(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(key, value)}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ("nan" if math.isnan(value) else f"{value:+}"[:4])
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(key, item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pair(name, item) for name, item in value.items())} }}" if value else "{}"
    raise ValueError(f"{key!r} has a value that a TOML file cannot hold: {shown(value)}")


def _text(value: str) -> str:
    # A basic string has the escapes of JSON; only DEL needs one more.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
