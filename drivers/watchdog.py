"""What a device does by itself when it hears nothing: what it must be told, and whether what is fixed fits. Pure."""

from dataclasses import dataclass

from station.profile import Watchdog

SLACK = 1e-6
REPEATS = 1.25
"""A setpoint is repeated at a third of its lease; the device must wait so much longer."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What a device does by itself: ``fallback_kw`` once no setpoint was written for ``lease_s``."""

    lease_s: float
    fallback_kw: float


def told(watchdog: Watchdog, guard: Guard) -> tuple[tuple[str, float], ...]:
    """Return the points that hold lease and fallback, with the values that they must hold: the fallback first."""
    values = ((watchdog.fallback_point, guard.fallback_kw), (watchdog.timeout_point, guard.lease_s))
    return tuple((name, value) for name, value in values if name)


def misfit(watchdog: Watchdog, guard: Guard) -> str:
    """Return why what the maker fixed does not fit what is wanted; empty where it does."""
    timeout_s, fallback_kw = watchdog.timeout_s, watchdog.fallback_kw
    if timeout_s is not None and timeout_s > guard.lease_s + SLACK:
        return f"the device waits {timeout_s:g} s by itself, longer than its lease_s {guard.lease_s:g}"
    if timeout_s is not None and timeout_s < REPEATS * guard.lease_s / 3.0 and watchdog.kind != "poll":
        return f"the device waits {timeout_s:g} s only: lease_s must be at most {3.0 * timeout_s / REPEATS:g}"
    if fallback_kw is not None and abs(fallback_kw - guard.fallback_kw) > SLACK:
        return f"the device falls back to {fallback_kw:g} kW by itself, not to its fallback_kw {guard.fallback_kw:g}"
    return ""


def is_left_alone(watchdog: Watchdog, guard: Guard, sent_s: float, now_s: float) -> bool:
    """Return whether a device that any request keeps going must hear none, so that its last setpoint ends.

    That is so from the end of its lease until it has fallen back.
    """
    if watchdog.kind != "poll":
        return False
    over_s = now_s - sent_s - guard.lease_s
    return 0.0 < over_s <= (watchdog.timeout_s or guard.lease_s) + 1.0
