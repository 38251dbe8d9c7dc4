"""How a setpoint becomes a sequence of writes, and what such a sequence says when it is read back. Pure."""

from collections.abc import Callable

from station.profile import Profile, Step

SLACK = 1e-6
DIRECTIONS = {"charge": 1.0, "discharge": -1.0}


def steps_of(profile: Profile, setpoint_kw: float) -> tuple[Step, ...]:
    """Return the writes that carry out a setpoint (load convention), in order."""
    if not profile.commands:
        return (Step("setpoint_kw", carries="setpoint"),)
    if "set" in profile.commands:
        return profile.commands["set"]
    name = "charge" if setpoint_kw > 0.0 else "discharge" if setpoint_kw < 0.0 else "rest"
    return profile.commands[name]


def part_kw(step: Step, setpoint_kw: float) -> float:
    """Return what a step carries of a setpoint, in kW."""
    match step.carries:
        case "magnitude":
            return abs(setpoint_kw)
        case "charge":
            return max(0.0, setpoint_kw)
        case "discharge":
            return max(0.0, -setpoint_kw)
    return setpoint_kw


def held_kw(profile: Profile, canonical: Callable[[str], float | None]) -> float | None:
    """Return the setpoint that a device is under; None where it is under none of the commands.

    ``canonical`` tells the value of a point in heliodock's unit, None where there is none or where it can't be read.
    """
    for name, steps in profile.commands.items():
        if name != "release" and all(_is_held(profile, step, canonical) for step in steps):
            return _sum(name, steps, canonical)
    return None


def _is_held(profile: Profile, step: Step, canonical: Callable[[str], float | None]) -> bool:
    if step.value is None or not profile.points[step.point].readable:
        return True
    value = canonical(step.point)
    return value is not None and abs(value - step.value) <= SLACK


def _sum(command: str, steps: tuple[Step, ...], canonical: Callable[[str], float | None]) -> float | None:
    total_kw = 0.0
    for step in (step for step in steps if step.carries):
        value = canonical(step.point)
        if value is None:
            return None
        if step.carries == "magnitude":
            value *= DIRECTIONS[command]
        total_kw += -value if step.carries == "discharge" else value
    return total_kw
