"""What every controllable device has: a command, the timer that guards it, and a delay before it acts."""

from dataclasses import dataclass, replace

INFINITE_S = float("inf")
_EPSILON_S = 1e-9


@dataclass(frozen=True, slots=True)
class Command:
    """What is written to a device: a power in kW (load convention) and how long it holds without another write."""

    power_kw: float
    lease_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a device holds as its command, and what of it has reached its power electronics.

    ``setpoint_kw`` is what it reads back. The timer ends at ``expires_s`` (infinite: none is running), then the device
    goes to ``fallback_kw`` by itself. ``coming`` are commands on their way: (instant at which it acts, kW).
    """

    setpoint_kw: float
    expires_s: float
    acting_kw: float
    fallback_kw: float
    coming: tuple[tuple[float, float], ...] = ()


def resting(fallback_kw: float) -> Held:
    """Return a device that nobody has commanded yet."""
    return Held(fallback_kw, INFINITE_S, fallback_kw, fallback_kw)


def take(held: Held, command: Command, now_s: float, delay_s: float) -> Held:
    """Return the device after a write at ``now_s``: the timer starts anew, the power follows after ``delay_s``."""
    expires_s = now_s + command.lease_s
    newest_kw = held.coming[-1][1] if held.coming else held.acting_kw
    if command.power_kw == newest_kw:
        return Held(command.power_kw, expires_s, held.acting_kw, held.fallback_kw, held.coming)
    coming = (*held.coming, (now_s + delay_s, command.power_kw))
    return Held(command.power_kw, expires_s, held.acting_kw, held.fallback_kw, coming)


def settle(held: Held, now_s: float, at_once: bool) -> Held:
    """Return the device at ``now_s``: expired to its fallback, and with the commands that are due (or all) acting.

    The same object comes back where nothing changed.
    """
    if now_s >= held.expires_s - _EPSILON_S:
        return resting(held.fallback_kw)
    if not held.coming:
        return held
    due = [entry for entry in held.coming if at_once or entry[0] <= now_s + _EPSILON_S]
    if not due:
        return held
    return replace(held, acting_kw=due[-1][1], coming=held.coming[len(due) :])


def approach(power_kw: float, target_kw: float, step_kw: float) -> float:
    """Return ``power_kw`` moved towards ``target_kw`` by at most ``step_kw`` (not negative)."""
    if target_kw > power_kw + step_kw:
        return power_kw + step_kw
    if target_kw < power_kw - step_kw:
        return power_kw - step_kw
    return target_kw
