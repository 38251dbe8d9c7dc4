"""Where a tariff's prices come from, and what is to be said about one that is not finished."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Provenance:
    """Of which day the prices are, what is doubtful about them, and whether they are all there."""

    as_of: date | None = None
    doubts: tuple[str, ...] = ()
    is_complete: bool = True

    def warning(self, tariff_id: str) -> str | None:
        """Return one line that says that the prices are unfinished, or None."""
        if self.is_complete:
            return None
        first = f"; first doubt: {self.doubts[0]}" if self.doubts else ""
        return f"tariff {tariff_id} is unfinished (complete: false){first}"
