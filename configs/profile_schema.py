"""The models that device profiles are checked against (``docs/profiles.md`` explains every key)."""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from configs.yaml_lines import Checked
from station.profile import Encoding, Protocol


class WriteSchema(Checked):
    """How a point is written; the fields of ``station.profile.WriteRule``."""

    function: Literal[0, 6, 16] = Field(description="Modbus function: 6 (one register) or 16; 0 for OPC UA")
    readback: bool = Field(True, description="whether the point can be read to verify the write")
    tolerance: float = Field(
        0.0, ge=0.0, description="how far the value that is read back may differ, in the unit of the point"
    )
    min_interval_s: float = Field(0.0, ge=0.0, description="least time between writes of an unchanged value")
    deadband: float = Field(
        0.0,
        ge=0.0,
        description="a setpoint that asks for less more than this waits; in the unit of the point",
    )
    zero_as: float | None = Field(
        None, description="written in place of 0, where 0 ends the session; in the unit of the point"
    )
    storage: Literal["volatile", "nvram", "unknown"] = Field(
        "volatile",
        description="where the device keeps it: nvram wears with each write; unknown counts as nvram",
    )
    writes_per_day: int = Field(50, ge=1, description="of what wears; those that lower power are always made")


class CaseSchema(Checked):
    """From which value of the other point on which scale holds."""

    start: float = Field(alias="from")
    scale: float = Field(gt=0.0)


class ScalingSchema(Checked):
    """What a scale is multiplied with; the fields of ``station.profile.Scaling``."""

    point: str = Field(description="the other point")
    how: Literal["factor", "exponent", "cases", "bit"] = Field(
        "factor",
        description="factor: times its value; exponent: 10 to it; cases: by its value; bit: if a bit of mask is set",
    )
    cases: tuple[CaseSchema, ...] = Field((), description="from which value on which scale, rising")
    mask: int = Field(0, ge=0, description="bits of the other value")
    scale: float = Field(-1.0, description="for how: bit")


class PointSchema(Checked):
    """One quantity; the fields of ``station.profile.Point``. Its name is the key."""

    encoding: Encoding = Field(Encoding.FLOAT64, description="how the registers hold the number")
    unit: str = Field("", description="W kW Wh kWh A V Hz % s min degC epoch_s; none for states and flags")
    sunspec: tuple[str, ...] = Field(
        (), description="SunSpec addresses such as 103.W; the first model that is there counts"
    )
    function: Literal[3, 4] = Field(3, description="Modbus function that reads it: 3 holding, 4 input")
    address: int | None = Field(None, ge=0, le=65535, description="0-based, as on the wire")
    words: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = Field(
        (), description="addresses of the registers where they lie apart, high word first"
    )
    node: str = Field("", description="OPC UA string identifier; {connector} is replaced")
    word_order: Literal["big", "little"] = Field("big", description="big: high word first")
    scale: float = Field(1.0, gt=0.0, description="value = sign * (raw * scale + bias)")
    bias: float = Field(0.0, description="in the unit of the point")
    sign: Literal[-1, 1] = Field(1, description="-1 where the device counts against load convention")
    bits: tuple[Annotated[int, Field(ge=0, le=63)], Annotated[int, Field(ge=1, le=64)]] | None = Field(
        None, description="lowest bit and how many"
    )
    scaled_by: tuple[ScalingSchema, ...] = Field(
        (), description="other points that the scale is multiplied with"
    )
    sum_of: tuple[str, ...] = Field((), description="points whose sum it is")
    monotonic: bool = Field(False, description="a counter that never runs back")
    readable: bool = Field(True, description="false: the register can only be written")
    not_available: tuple[int, ...] = Field((), description="raw patterns that mean there is none")
    valid: tuple[float, float] | None = Field(
        None, description="bounds in the unit of the point; outside is nonsense"
    )
    symbols: dict[int, str] = Field(default_factory=dict, description="names of raw values")
    group: Literal["fast", "slow", "once"] = Field(
        "fast", description="fast: every poll; slow: every 15 s; once: once per connection"
    )
    write: WriteSchema | None = None
    length: int = Field(0, ge=0, le=125, description="registers of a text")
    source: str = Field("", description="which of the sources tells of it")
    typical: float | None = Field(None, description="what an emulated device says")


class StepSchema(Checked):
    """One write of a command; the fields of ``station.profile.Step``."""

    write: str = Field("", description="a point that is written")
    ensure: str = Field("", description="a point that is written where it holds something else")
    value: float | None = Field(None, description="in the unit of the point")
    carries: Literal["", "setpoint", "magnitude", "charge", "discharge"] = Field(
        "", description="the part of the setpoint that is written, in place of a value"
    )


class WatchdogSchema(Checked):
    """The device's own guard; the fields of ``station.profile.Watchdog``."""

    kind: Literal["timer", "rewrite", "countdown", "heartbeat", "poll"] = Field(
        "timer",
        description="what renews it: the setpoint (timer, rewrite), a new length (countdown), any request (poll), "
        "another number (heartbeat)",
    )
    heartbeat_point: str = Field("", description="the point that must change")
    timeout_point: str = Field("", description="the point that holds the timeout")
    timeout_s: float | None = Field(
        None, gt=0.0, le=86_400.0, description="the timeout where the maker fixed it"
    )
    fallback_point: str = Field("", description="the point that holds the fallback")
    fallback_kw: float | None = Field(
        None, description="the fallback where the maker fixed it, load convention"
    )


class VerifiedSchema(Checked):
    """Who tried the profile on hardware."""

    by: str
    firmware: str
    date: str


class ProfileSchema(Checked):
    """One device type; the fields of ``station.profile.Profile``."""

    profile_id: str = Field(description="the name of the file")
    title: str = Field("", description="maker and model")
    protocol: Annotated[Protocol, WithJsonSchema({"enum": ["modbus", *Protocol], "type": "string"})]
    kind: Literal["meter", "battery", "pv", "connector"] = Field(description="the asset that it serves")
    source: str = Field("", description="where the map was found")
    sources: dict[str, str] = Field(default_factory=dict, description="name and text of each source")
    verified: Literal[False] | str | VerifiedSchema = Field(description="false, or who tried it on hardware")
    points: dict[str, PointSchema] = Field(description="quantities that heliodock knows by name")
    auxiliary: dict[str, PointSchema] = Field(
        default_factory=dict, description="points that only this device has: ratios, modes, versions"
    )
    commands: dict[Literal["set", "charge", "discharge", "rest", "release"], tuple[StepSchema, ...]] = Field(
        default_factory=dict, description="how a setpoint is carried out where one register is not enough"
    )
    partial: bool = Field(False, description="a device that is joined to it must tell the rest")
    watchdog: WatchdogSchema | None = Field(
        None, description="what the device does by itself when it hears nothing"
    )
    alive: tuple[str, ...] = Field((), description="points of which one changes while the device lives")
    timeout_s: float = Field(0.8, gt=0.0, le=30.0, description="how long an answer may take")
    min_gap_s: float = Field(0.0, ge=0.0, le=5.0, description="pause between two requests")
    connect_delay_s: float = Field(
        0.0, ge=0.0, le=5.0, description="pause between connecting and the first request"
    )
    keep_open: bool = Field(
        True, description="false: close after each poll, for devices that serve one client"
    )
    max_registers: Annotated[int, Field(ge=1, le=125)] = Field(100, description="most registers of a request")
    max_gap: int = Field(10, ge=0, le=124, description="largest gap that is read along")
    unit_stride: int = Field(0, ge=0, description="registers from one connector to the next")
    namespace: str = Field("", description="OPC UA namespace URI")

    @property
    def everything(self) -> dict[str, PointSchema]:
        """Return all points, those that only this device has included."""
        return {**self.points, **self.auxiliary}
