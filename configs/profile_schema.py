"""The models that device profiles are checked against (``docs/profiles.md`` explains every key)."""

from typing import Annotated, Literal

from pydantic import Field

from configs.yaml_lines import Checked
from station.profile import Encoding, Protocol


class WriteSchema(Checked):
    """How a point is written; the fields of ``station.profile.WriteRule``."""

    function: Literal[0, 6, 16]
    readback: bool = True
    tolerance: float = Field(0.0, ge=0.0)
    min_interval_s: float = Field(0.0, ge=0.0)
    zero_as: float | None = None
    storage: Literal["volatile", "nvram", "unknown"] = "volatile"


class CaseSchema(Checked):
    """From which value of the other point on which scale holds."""

    start: float = Field(alias="from")
    scale: float = Field(gt=0.0)


class ScalingSchema(Checked):
    """What a scale is multiplied with; the fields of ``station.profile.Scaling``."""

    point: str
    how: Literal["factor", "exponent", "cases", "bit"] = "factor"
    cases: tuple[CaseSchema, ...] = ()
    mask: int = Field(0, ge=0)
    scale: float = -1.0


class PointSchema(Checked):
    """One quantity; the fields of ``station.profile.Point``. Its name is the key."""

    encoding: Encoding = Encoding.FLOAT64
    unit: str = ""
    sunspec: tuple[str, ...] = ()
    function: Literal[3, 4] = 3
    address: int | None = Field(None, ge=0, le=65535)
    words: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = ()
    node: str = ""
    word_order: Literal["big", "little"] = "big"
    scale: float = Field(1.0, gt=0.0)
    bias: float = 0.0
    sign: Literal[-1, 1] = 1
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = None
    scaled_by: tuple[ScalingSchema, ...] = ()
    sum_of: tuple[str, ...] = ()
    monotonic: bool = False
    readable: bool = True
    not_available: tuple[int, ...] = ()
    valid: tuple[float, float] | None = None
    symbols: dict[int, str] = Field(default_factory=dict)
    group: Literal["fast", "slow", "once"] = "fast"
    write: WriteSchema | None = None
    length: int = Field(0, ge=0, le=125)
    source: str = ""
    typical: float | None = None


class WatchdogSchema(Checked):
    """The device's own guard; the fields of ``station.profile.Watchdog``."""

    kind: Literal["timer", "rewrite", "countdown", "poll"] = "timer"
    timeout_point: str = ""
    timeout_s: float | None = Field(None, gt=0.0, le=86_400.0)
    fallback_point: str = ""
    fallback_kw: float | None = None


class VerifiedSchema(Checked):
    """Who tried the profile on hardware."""

    by: str
    firmware: str
    date: str


class ProfileSchema(Checked):
    """One device type; the fields of ``station.profile.Profile``."""

    profile_id: str
    title: str = ""
    protocol: Protocol
    kind: Literal["meter", "battery", "pv", "connector"]
    source: str = ""
    sources: dict[str, str] = Field(default_factory=dict)
    verified: Literal[False] | str | VerifiedSchema
    points: dict[str, PointSchema]
    auxiliary: dict[str, PointSchema] = Field(default_factory=dict)
    watchdog: WatchdogSchema | None = None
    alive: tuple[str, ...] = ()
    timeout_s: float = Field(0.8, gt=0.0, le=30.0)
    min_gap_s: float = Field(0.0, ge=0.0, le=5.0)
    max_registers: Annotated[int, Field(ge=1, le=125)] = 100
    max_gap: int = Field(10, ge=0, le=124)
    unit_stride: int = Field(0, ge=0)
    namespace: str = ""

    @property
    def everything(self) -> dict[str, PointSchema]:
        """Return all points, those that only this device has included."""
        return {**self.points, **self.auxiliary}
