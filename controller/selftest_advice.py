"""What a fault of the self-test is told by, and what to change. Pure; words only."""

from collections.abc import Sequence

from controller.selftest_causes import Cause, Observed, name_of_factor
from controller.selftest_words import Kind
from station.quantities import ALL_PHASES


def evidence_of(cause: Cause, seen: Sequence[Observed]) -> tuple[str, ...]:
    """Return a sentence with the numbers for each asset that was moved and speaks of the fault."""
    return tuple(_said(trial) for trial in seen if cause.asset_id in ("", trial.asset.asset_id))


def _said(trial: Observed) -> str:
    name = trial.asset.asset_id
    parts = []
    if trial.device_asked is not None:
        parts.append(f"{name} moved by {trial.device_asked} kW per kW asked")
    if trial.meter_device is not None:
        parts.append(f"the meter by {trial.meter_device} kW per kW of {name}")
    if trial.phases is not None:
        phases = ", ".join(f"{phase} {gain}" for phase, gain in zip(ALL_PHASES, trial.phases, strict=True))
        parts.append(f"its phases by {phases}")
    return "; ".join(parts)


def advice_on(meter_id: str, causes: Sequence[Cause]) -> tuple[str, ...]:
    """Return what to change for each cause that would explain the same, without repetition, the best first."""
    return tuple(dict.fromkeys(_advice(meter_id, cause) for cause in causes))


def _advice(meter_id: str, cause: Cause) -> str:
    by = name_of_factor(cause.factor)
    match cause.kind, cause.point:
        case Kind.REVERSED, "CT":
            return f"turn the current transformers of {meter_id} round (or exchange S1 and S2), on all phases"
        case Kind.REVERSED, point if point.startswith("CT of "):
            return f"turn the current transformer of {point[-2:]} at {meter_id} round; the others are right"
        case Kind.REVERSED, point:
            return f"in the profile of {cause.where}: flip `sign` of {point}"
        case Kind.SWAPPED_PHASE, "phases":
            true = cause.phases[0]
            return (
                f"in the site: `phases` of {cause.where} is {true}; or it is wired so, and the site is right"
            )
        case Kind.SWAPPED_PHASE, _:
            shown = ", ".join(
                f"{ALL_PHASES[place]} shows as {phase}"
                for place, phase in zip(cause.order, ALL_PHASES, strict=True)
                if ALL_PHASES[place] is not phase
            )
            return f"exchange the conductors or transformers at {meter_id}: {shown}"
        case Kind.WRONG_SCALE, "CT":
            return f"correct the transformer ratio of {meter_id}, currents and power are wrong by {by}"
        case Kind.WRONG_SCALE, point:
            return f"in the profile of {cause.where}: `scale` (or `unit`) of {point} is wrong by {by}"
        case _:
            return (
                f"{cause.where} moves, and {meter_id} does not see it: is it behind this meter, are its transformers "
                "connected, and does each voltage belong to its current?"
            )
