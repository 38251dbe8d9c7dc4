"""How things look: a colour per flow, units, what words stand for numbers. The same on every dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    DynamicConfigValue,
    SpecialValueMap,
    SpecialValueMatch,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

PV, GRID, BATTERY, CARS, BUILDING = "#F2CC0C", "#E02F44", "#56A64B", "#3274D9", "#9FA7B3"
LIMIT, ALLOWED, PLAN = "#FF780A", "#FFB357", "#B877D9"
GOOD, WARN, BAD, CALM = "#56A64B", "#FF9830", "#E02F44", "#8E8E8E"

KW, KWH, SHARE, SECONDS, MS, HOURS, KG = "kwatt", "kwatth", "percentunit", "s", "ms", "h", "masskg"
KG_PER_H, KG_PER_KWH = "suffix:kg/h", "suffix:kg/kWh"
COUNT, TEXT = "none", "string"
MONEY, MONEY_PER_H, PRICE = "suffix:¤", "suffix:¤/h", "suffix:¤/kWh"
"""¤ is the tariff's currency, which the database does not know."""

SINCE, TIME = "dateTimeFromNow", "dateTimeAsIso"

Steps = tuple[tuple[float | None, str], ...]
"""Thresholds: from which value on which colour; None is the first."""

ROOM: Steps = ((None, GOOD), (0.85, WARN), (1.0, BAD))
NONE_IS_GOOD: Steps = ((None, GOOD), (1.0, BAD))
SOC: Steps = ((None, BAD), (0.1, WARN), (0.2, GOOD))
LATE: Steps = ((None, GOOD), (200.0, WARN), (1000.0, BAD))
AGE: Steps = ((None, GOOD), (3.0, WARN), (10.0, BAD))


@dataclass(frozen=True)
class Style:
    """How one curve or one column looks; the name is what its legend or its head says."""

    name: str
    colour: str = ""
    unit: str = ""
    is_dashed: bool = False
    is_step: bool = False
    fill: int | None = None
    width: int | None = None
    links_to: str = ""
    words: "Words | None" = None
    is_hidden: bool = False
    steps: Steps = ()

    def properties(self) -> list[DynamicConfigValue]:
        """Return Grafana's overrides."""
        return [DynamicConfigValue(name, value) for name, value in self._values() if value not in ("", None)]

    def _values(self) -> list[tuple[str, object]]:
        return [
            ("unit", self.unit),
            ("color", {"mode": "fixed", "fixedColor": self.colour} if self.colour else None),
            ("custom.lineStyle", {"fill": "dash", "dash": [10, 8]} if self.is_dashed else None),
            ("custom.lineInterpolation", "stepAfter" if self.is_step else None),
            ("custom.fillOpacity", self.fill),
            ("custom.width", self.width),
            ("custom.hidden", True if self.is_hidden else None),
            ("links", [{"title": "Decisions · 决策", "url": self.links_to}] if self.links_to else None),
            ("mappings", self.words.mappings() if self.words else None),
            ("custom.cellOptions", {"type": "color-text"} if self.words or self.steps else None),
            ("thresholds", thresholds(self.steps) if self.steps else None),
        ]


@dataclass(frozen=True)
class Words:
    """What stands for a number: text and colour; ``empty`` for a text that is empty."""

    of: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    empty: tuple[str, str] | None = None

    def mappings(self) -> list[ValueMapping]:
        """Return Grafana's value mappings."""
        results = {
            value: ValueMappingResult(text=text, color=colour, index=index)
            for index, (value, (text, colour)) in enumerate(self.of.items())
        }
        found: list[ValueMapping] = [ValueMap(results)] if results else []
        if self.empty is not None:
            text, colour = self.empty
            result = ValueMappingResult(text=text, color=colour, index=len(results))
            options = DashboardSpecialValueMapOptions(SpecialValueMatch.EMPTY, result)
            found.append(SpecialValueMap(options))
        return found


QUALITY = Words({"1": ("good · 正常", GOOD), "0": ("lost · 失联", BAD)})
RAISED = Words({"1": ("raised · 触发", BAD), "0": ("cleared · 恢复", GOOD)})
OCCUPIED = Words({"1": ("car · 有车", CARS), "0": ("free · 空闲", CALM)})
MAKES_ROOM = Words({"1": ("makes room · 让路", WARN), "0": ("–", CALM)})
REASONS = Words(empty=("follows the plan · 按计划", CALM))


def thresholds(steps: Steps) -> dict[str, object]:
    """Return thresholds as an override has them."""
    return {"mode": "absolute", "steps": [{"value": value, "color": colour} for value, colour in steps]}
