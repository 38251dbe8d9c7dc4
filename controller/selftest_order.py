"""Which word order makes sense of a point: that of the profile, or the other one. Pure.

Words in the wrong order make a value that jumps by thousands where the power moved by one kW. Small whole numbers are
then all multiplied by 65536, larger ones and floats are scattered.
"""

from collections.abc import Sequence

from controller.selftest_fit import gain_of
from controller.selftest_words import SWAPPED, Channel, Finding, Gain, Kind, Sample, Side, Trial, Values
from station.assets import Controllable

SENSIBLE = (0.2, 3.0)
"""A factor between two powers that is no word order's doing."""

ABSURD = 20.0
"""So many times more than the whole site could do is no power."""

LEAST_REST = 5
SETPOINT = "setpoint_kw"


def is_sensible(gain: Gain | None) -> bool:
    """Return whether a quantity moves along with another by about as much, either way."""
    return gain is not None and gain.is_clear and SENSIBLE[0] <= abs(gain.factor) <= SENSIBLE[1]


def moves_swapped(
    trials: Sequence[Trial], point: str, cause: Channel, side: Side
) -> tuple[Gain | None, Gain] | None:
    """Return the gains of a point as the profile reads it and swapped, where only the latter is sensible.

    None where the profile's order is right, or nothing is known.
    """
    found = None
    for trial in trials:
        plain = gain_of(trial.samples, cause, side(point))
        other = gain_of(trial.samples, cause, side(SWAPPED + point))
        if is_sensible(plain):
            return None
        if other is not None and is_sensible(other):
            found = plain, other
    return found


def rests_swapped(
    samples: Sequence[Sample], plain: Channel, swapped: Channel, most_kw: float
) -> tuple[float, float] | None:
    """Return a power as the profile reads it and swapped, where at rest only the latter is possible."""
    pairs = [(plain(sample), swapped(sample)) for sample in samples]
    absurd = [
        (shown_kw, other_kw)
        for shown_kw, other_kw in pairs
        if shown_kw is not None
        and other_kw is not None
        and abs(shown_kw) > ABSURD * most_kw
        and abs(other_kw) <= 1.5 * most_kw
    ]
    if len(absurd) < LEAST_REST or 5 * len(absurd) < 4 * len(samples):
        return None
    return absurd[-1]


def swapped_at_rest(asset: Controllable, said: Values) -> Finding | None:
    """Return that a device's words are in the wrong order before it is moved, where that would be dangerous.

    A setpoint of two words in the wrong order asks for thousands of times the power. It may be known by what the device
    holds, or by its power, which mostly shares the order.
    """
    if SWAPPED + SETPOINT not in said:
        return None
    for point in (SETPOINT, "power_kw"):
        plain_kw, other_kw = said.get(point), said.get(SWAPPED + point)
        if plain_kw is None or other_kw is None:
            continue
        if not asset.nameplate.holds(plain_kw, ABSURD * rating_kw(asset)) and asset.nameplate.holds(
            other_kw, 0.1 * rating_kw(asset)
        ):
            seen = f"at rest {point} reads {plain_kw:.6g} kW; with its words swapped {other_kw:.4g} kW"
            return finding_of(asset.asset_id, point, (seen,), is_measured=False)
    return None


def rating_kw(asset: Controllable) -> float:
    """Return the largest power of an asset in either direction."""
    return max(asset.nameplate.max_kw, -asset.nameplate.min_kw)


def finding_of(where: str, point: str, evidence: Sequence[str], *, is_measured: bool) -> Finding:
    """Return the finding that a point's words are in the wrong order."""
    advice = (
        f"in the profile of {where}: flip `word_order` of {point}, and look at its other points of two words"
    )
    confidence = 0.97 if is_measured else 0.85
    return Finding(Kind.WORD_ORDER, where, point, confidence, tuple(evidence), (advice,), (where,))


def rest_of(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples from before anything moved."""
    return [sample for sample in samples if sample.step == 0]
