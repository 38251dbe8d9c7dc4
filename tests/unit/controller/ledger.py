"""Books of a small station for tests: what is measured, what is granted, and a readable way to ask."""

from collections.abc import Mapping
from dataclasses import replace

from controller.envelope import Books, constraints_in_force
from controller.judge import judge
from controller.leases import grant_interval
from station.limits import Interval
from station.measurement import Measurement, Snapshot
from station.request import Request
from station.topology import Site
from tests.factories import an_instant, readings

NOW = an_instant()
IMPORT, EXPORT = "pcc import kW", "pcc export kW"


def books_of(
    site: Site,
    *,
    base_kw: float = 10.0,
    granted_kw: Mapping[str, float] | None = None,
    live: Mapping[str, Interval | None] | None = None,
    measured: Mapping[str, Measurement] | None = None,
    requests: tuple[Request, ...] = (),
    astray: frozenset[str] = frozenset(),
    unarmed: frozenset[str] = frozenset(),
    hidden_kw: Mapping[str, float] | None = None,
    late: Mapping[str, Interval | None] | None = None,
) -> Books:
    """Return books in which every asset is at its fallback but those in ``granted_kw`` (setpoints) and ``live``."""
    snapshot = Snapshot(NOW, measured or readings(site, NOW), requests=requests)
    seen = judge(site, snapshot, NOW)
    ranges: dict[str, Interval | None] = dict.fromkeys(site.by_id)
    ranges |= {key: grant_interval(site.by_id[key], kw) for key, kw in (granted_kw or {}).items()}
    ranges |= live or {}
    constraints = constraints_in_force(site, snapshot)
    return Books(
        site,
        constraints,
        seen,
        base_kw,
        ranges,
        astray=astray,
        unarmed=unarmed,
        hidden_kw=hidden_kw,
        late=late,
    )


def room_kw(books: Books, name: str = IMPORT) -> tuple[float, float]:
    """Return what is left below the continuous bound, and what below the bound of a loss."""
    index = next(i for i, constraint in enumerate(books.constraints) if constraint.name == name)
    return (
        books._bound[index] - books._standing[index],
        books._loss_bound[index] - books._loss[index],
    )


def local(measured: dict[str, Measurement], asset_id: str) -> dict[str, Measurement]:
    """Return the readings with one device in local mode."""
    return measured | {asset_id: replace(measured[asset_id], is_local=True)}  # type: ignore[arg-type,call-arg]
