"""A point's value and quality in words."""

from station.errors import DriverError


def value_words(outcome: object) -> tuple[str]:
    """Return a point's value as text, empty where there is none."""
    if outcome is None or isinstance(outcome, DriverError):
        return ("",)
    return (f"{outcome:.10g}" if isinstance(outcome, float) else str(outcome),)


def value_data(outcome: object) -> object:
    """Return a point's value as data for JSON, None where there is none."""
    if isinstance(outcome, DriverError):
        return None
    return float(f"{outcome:.10g}") if isinstance(outcome, float) else outcome


def quality(outcome: object) -> str:
    """Return ``good``, ``none`` (the device has no value for it) or why the point gave nothing."""
    if outcome is None:
        return "none"
    return outcome.cause if isinstance(outcome, DriverError) else "good"
