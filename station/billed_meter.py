"""A meter's record seen through its tariff: demand windows by month, maxima and energy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from station.charges import DemandCharge
from station.meter_record import MeterRecord, Window
from station.tariff import Month, Tariff


@dataclass(frozen=True, slots=True)
class Meter:
    """A tariff with the record that it bills, and maxima of earlier months that the record does not hold."""

    tariff: Tariff
    record: MeterRecord
    earlier_peaks_kw: Mapping[Month, float] = field(default_factory=dict)
    _windows: dict[Month, list[Window]] = field(default_factory=dict, repr=False, compare=False)

    def windows(self, month: Month) -> list[Window]:
        """Return the demand windows of a month."""
        if month not in self._windows:
            span = self.tariff.month_span(month)
            self._windows[month] = self.record.windows(self.tariff.demand.window_s, *span)
        return self._windows[month]

    @property
    def window_s(self) -> int:
        """Return the length of a window; a whole number."""
        return round(self.tariff.demand.window_s)

    def peak(self, charge: DemandCharge, months: Iterable[Month]) -> tuple[Fraction, datetime | None]:
        """Return the highest mean import in watts that a charge finds in some months, and when it began."""
        highest_w, at = Fraction(0), None
        for month in months:
            for window in self._looked_at(charge, month):
                is_higher = window.mean_w is not None and window.mean_w > highest_w
                if is_higher and self._counts(charge, window):
                    highest_w, at = window.mean_w or highest_w, window.starts_at
        return highest_w, at

    def imported_ws(self, months: Iterable[Month]) -> Fraction:
        """Return the energy imported in some months in watt-seconds."""
        watts = (w.mean_w for month in months for w in self.windows(month) if w.mean_w is not None)
        return sum((max(power_w, Fraction(0)) for power_w in watts), Fraction(0)) * self.window_s

    def _counts(self, charge: DemandCharge, window: Window) -> bool:
        return not charge.periods or self.tariff.quote(window.starts_at).name in charge.periods

    def _looked_at(self, charge: DemandCharge, month: Month) -> Iterable[Window]:
        if charge.is_sliding:
            return self.record.sliding(charge.window_s, *self.tariff.month_span(month))
        return self.windows(month)


def year_to(month: Month) -> list[Month]:
    """Return the months of a year up to ``month``."""
    return [(month[0], number) for number in range(1, month[1] + 1)]
