"""A month's bill from a store: what is read, over which time, and what is missing in it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from re import fullmatch
from typing import TYPE_CHECKING

from station.errors import ConfigError

if TYPE_CHECKING:
    from decimal import Decimal

    from northbound.meter import RecordedMeter
    from station.invoice import Invoice
    from station.meter_record import Window
    from station.tariff import Month, Tariff
    from station.topology import Site


@dataclass(frozen=True, slots=True)
class Gap:
    """Consecutive windows that are missing."""

    from_at: datetime
    until_at: datetime
    windows: int


@dataclass(frozen=True, slots=True)
class Replay:
    """A replayed bill with the windows that it is made of. ``bounds`` is None where no limit bounds what is missing."""

    invoice: "Invoice"
    windows: "tuple[Window, ...]"
    gaps: tuple[Gap, ...]
    partly: tuple[datetime, ...]
    bounds: "tuple[Decimal, Decimal] | None"


def month_of(text: str) -> "Month":
    """Return the year and the month in ``YYYY-MM``; raise ``ConfigError``."""
    match = fullmatch(r"(\d{4})-(\d\d)", text)
    year, month = (int(part) for part in match.groups()) if match else (0, 0)
    if not (1980 <= year <= 9998 and 1 <= month <= 12):
        raise ConfigError("--month", 0, "", f"a month is expected (2026-11), not '{text[:40]}'")
    return year, month


def replay(site: "Site", directory: Path, month: "Month") -> Replay:
    """Return the bill of a month; raise ``ConfigError`` where the store holds nothing of it."""
    from station.bill_bounds import bill_bounds
    from station.billed_meter import Meter
    from station.invoice import invoice
    from station.limits import Direction

    tariff = site.tariff
    found, peaks_kw = _read(site, directory, month)
    meter = Meter(tariff, found.record, peaks_kw)
    bill = invoice(meter, month)
    if len(bill.missing) == bill.windows:
        problem = f"holds no grid power of {month[0]}-{month[1]:02d}"
        raise ConfigError(str(directory), 0, "", problem)
    from_at, until_at = tariff.month_span(month)
    return Replay(
        bill,
        tuple(meter.windows(month)),
        gaps_of(bill.missing, tariff.demand.window_s),
        tuple(at for at in found.partly if from_at <= at < until_at),
        bill_bounds(
            meter,
            month,
            import_kw=site.continuous_kw(Direction.IMPORT),
            export_kw=site.continuous_kw(Direction.EXPORT),
        ),
    )


def first_month(tariff: "Tariff", month: "Month") -> "Month":
    """Return the month from which on the bill of ``month`` needs the record."""
    from station.charges import Scope
    from station.tariff import months_before

    charges = (tariff.demand, *tariff.period_demand)
    needed = [months_before(month, charge.ratchet.months)[0] for charge in charges if charge.ratchet]
    if any(charge.scope is Scope.YEAR for charge in charges):
        needed.append((month[0], 1))
    return min(needed, default=month)


def gaps_of(missing: tuple[datetime, ...], window_s: float) -> tuple[Gap, ...]:
    """Return missing windows as stretches of time."""
    gaps: list[Gap] = []
    length = timedelta(seconds=window_s)
    for at in missing:
        if gaps and gaps[-1].until_at == at:
            gaps[-1] = Gap(gaps[-1].from_at, at + length, gaps[-1].windows + 1)
        else:
            gaps.append(Gap(at, at + length, 1))
    return tuple(gaps)


def _read(
    site: "Site", directory: Path, month: "Month"
) -> "tuple[RecordedMeter, dict[tuple[int, int], float]]":
    """Return the meter's record from the first month that matters, and the peaks that the ledger remembers."""
    from northbound.meter import recorded_meter, step_for
    from northbound.reader import StoreReader
    from station.charges import Scope

    tariff = site.tariff
    from_at, _ = tariff.month_span(first_month(tariff, month))
    until_at = tariff.month_span(month)[1] + timedelta(seconds=tariff.demand.window_s)
    step_s = step_for(tariff.demand.window_s, is_sliding=tariff.demand.is_sliding)
    with StoreReader(directory) as store:
        found = recorded_meter(store, from_at, until_at, step_s=step_s, cycle_s=site.control.cycle_s)
        return found, store.month_peaks() if tariff.demand.scope is Scope.MONTH else {}
