"""What words on the command line mean."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from station.errors import ConfigError

STDOUT = "-"
"""A file name that means standard output."""


def spread(args: Sequence[str], option: str) -> list[str]:
    """Return the words with ``option A B`` written as ``option A option B``.

    A site file that follows is not one of its values, nor is anything after another option.
    """
    given: list[str] = []
    is_value = is_more = False
    for word in args:
        is_file = word.endswith((".yaml", ".yml"))
        if is_more and not is_value and not word.startswith("-") and not is_file:
            given.append(option)
        elif not is_value:
            is_more = word == option
        is_value = word == option
        given.append(word)
    return given


def moment_of(option: str, text: str, timezone: str) -> datetime:
    """Return a local date's midnight, or a time that names its zone, in UTC; raise ``ConfigError``."""
    try:
        if len(text) == len("2019-09-02"):
            midnight_at = datetime.combine(date.fromisoformat(text), time(0), ZoneInfo(timezone))
            return midnight_at.astimezone(UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        problem = f"a date (2019-09-02) or a time (2019-09-02T08:00-07:00) is expected, not '{text[:40]}'"
        raise ConfigError(option, 0, "", problem) from None
    if at.tzinfo is None:
        problem = f"'{text}' names no time zone; end it in Z or in an offset such as -07:00"
        raise ConfigError(option, 0, "", problem)
    return at.astimezone(UTC)


def local_text(at: datetime, timezone: str) -> str:
    """Return a time as a person at the site reads it: the date alone at local midnight."""
    local = at.astimezone(ZoneInfo(timezone))
    return local.date().isoformat() if local.time() == time(0) else local.isoformat(timespec="minutes")
