"""A small reader of line protocol that shares nothing with the writer: it goes through a line letter by letter."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One point; ``fields`` hold float or str."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | str]
    at_ms: int


def points_of(body: bytes) -> list[Point]:
    """Return the points of a message; raise ValueError where it isn't line protocol."""
    return [_point(line) for line in body.decode("utf-8").split("\n")]


def _point(line: str) -> Point:
    head, *_ = _split(line, " ", has_texts=False)
    values, stamp = _split(line[len(head) + 1 :], " ", has_texts=True)
    measurement, *tags = _split(head, ",", has_texts=False)
    fields = [_pair(text, has_texts=True) for text in _split(values, ",", has_texts=True)]
    if not measurement or not fields:
        raise ValueError(f"no measurement or no field: {line}")
    return Point(
        measurement,
        {name: _plain(value) for name, value in (_pair(tag, has_texts=False) for tag in tags)},
        {name: _value(text) for name, text in fields},
        int(stamp),
    )


def _value(text: str) -> float | str:
    if text.startswith('"') and text.endswith('"') and len(text) >= 2:
        return _plain(text[1:-1])
    if "." not in text and "e" not in text:
        raise ValueError(f"not a float: {text}")
    return float(text)


def _pair(text: str, *, has_texts: bool) -> tuple[str, str]:
    parts = _split(text, "=", has_texts=has_texts)
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"not a name and a value: {text}")
    return parts[0], parts[1]


def _split(text: str, mark: str, *, has_texts: bool) -> list[str]:
    """Split at marks that no backslash stands before and, where there are texts, that are outside of them."""
    parts, begin, index, is_quoted = [], 0, 0, False
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        if text[index] == '"' and has_texts:
            is_quoted = not is_quoted
        elif text[index] == mark and not is_quoted:
            parts.append(text[begin:index])
            begin = index + 1
        index += 1
    return [*parts, text[begin:]]


def _plain(text: str) -> str:
    letters, index = [], 0
    while index < len(text):
        index += text[index] == "\\"
        letters.append(text[index])
        index += 1
    return "".join(letters)
