"""The start check: what every device does by itself, together with the base load, must fit every booked limit."""

from collections.abc import Iterator

from station.limits import Direction
from station.topology import Constraint, Site

TOLERANCE = 1e-6
"""kW or A by which rounding may exceed a bound."""


def fallback_problems(site: Site) -> list[str]:
    """Return one text for each booked limit that fallbacks and the declared base load would break.

    Each names the node and the devices. Where there is one, fallbacks are held and nothing is granted.
    """
    return [text for constraint in site.constraints for text in _problems(site, constraint)]


def _problems(site: Site, constraint: Constraint) -> Iterator[str]:
    shares = _shares(site, constraint)
    base = constraint.base_weight * _base_kw(site, constraint.direction)
    total = base + sum(shares.values())
    if total <= constraint.bound + TOLERANCE:
        return
    unit = constraint.name.rpartition(" ")[2]
    parts = [f"{asset_id} {share:g}" for asset_id, share in shares.items() if share > 0.0]
    if constraint.base_weight:
        parts.append(f"base load {site.base_load.asset_id} {base:g}")
    yield (
        f"{constraint.name}: fallbacks and declared base load make {total:g} {unit}, the limit is"
        f" {constraint.bound:g} {unit} ({', '.join(parts)})"
    )


def _shares(site: Site, constraint: Constraint) -> dict[str, float]:
    """Return what each asset adds to the constraint at the worst of its fallback."""
    shares: dict[str, float] = {}
    for asset_id, weight in constraint.weights.items():
        fallback = site.by_id[asset_id].fallback
        worst_kw = fallback.max_kw if constraint.direction is Direction.IMPORT else -fallback.min_kw
        shares[asset_id] = weight * worst_kw
    return shares


def _base_kw(site: Site, direction: Direction) -> float:
    return site.base_load.max_kw if direction is Direction.IMPORT else -site.base_load.min_kw
