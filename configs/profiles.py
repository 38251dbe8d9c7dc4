"""Reads device profiles (``configs/devices/*.yaml``). What passes here can be read and written without surprise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.profile_names import EXTRA_NAMES, names_of_kind, required_names, units_of_name
from configs.sunspec_addresses import problem_of
from configs.yaml_lines import Checked, KeyPath, YamlFile, read_model
from station.errors import ConfigError
from station.measurement import ConnectorState
from station.profile import Encoding, Point, Profile, Protocol, Watchdog, WriteRule

DEVICES = Path(__file__).parent / "devices"
ONE_WORD = (Encoding.UINT16, Encoding.INT16, Encoding.BOOL)
NOT_NUMBERS = (Encoding.BOOL, Encoding.STRING, Encoding.FLOAT32, Encoding.FLOAT64)

Problem = tuple[KeyPath, str]


class WriteSchema(Checked):
    """How a point is written; the fields of ``station.profile.WriteRule``."""

    function: Literal[0, 6, 16]
    readback: bool = True
    tolerance: float = Field(0.0, ge=0.0)
    min_interval_s: float = Field(0.0, ge=0.0)


class PointSchema(Checked):
    """One quantity; the fields of ``station.profile.Point``. Its name is the key."""

    encoding: Encoding = Encoding.FLOAT64
    unit: str = ""
    sunspec: tuple[str, ...] = ()
    function: Literal[3, 4] = 3
    address: int | None = Field(None, ge=0, le=65535)
    node: str = ""
    word_order: Literal["big", "little"] = "big"
    scale: float = Field(1.0, gt=0.0)
    bias: float = 0.0
    sign: Literal[-1, 1] = 1
    not_available: tuple[int, ...] = ()
    valid: tuple[float, float] | None = None
    symbols: dict[int, str] = Field(default_factory=dict)
    group: Literal["fast", "slow"] = "fast"
    write: WriteSchema | None = None
    length: int = Field(0, ge=0, le=125)


class WatchdogSchema(Checked):
    """The device's own guard; the fields of ``station.profile.Watchdog``."""

    timeout_point: str
    fallback_point: str


class ProfileSchema(Checked):
    """One device type; the fields of ``station.profile.Profile``."""

    profile_id: str
    protocol: Protocol
    kind: Literal["meter", "battery", "pv", "connector"]
    source: str
    verified: str
    points: dict[str, PointSchema]
    watchdog: WatchdogSchema | None = None
    alive: tuple[str, ...] = ()
    timeout_s: float = Field(0.8, gt=0.0, le=30.0)
    min_gap_s: float = Field(0.0, ge=0.0, le=5.0)
    max_registers: Annotated[int, Field(ge=1, le=125)] = 100
    max_gap: int = Field(10, ge=0, le=124)
    unit_stride: int = Field(0, ge=0)
    namespace: str = ""


def load_profile(path_or_id: Path | str) -> Profile:
    """Return the profile in a file, or the one of that id among heliodock's own; raise ``ConfigError``."""
    file = _file_of(path_or_id)
    schema, source = read_model(file, ProfileSchema)
    if schema.profile_id != file.stem:
        raise source.error(("profile_id",), f"must be the name of the file, {file.stem}")
    _refuse(source, _problems(schema))
    return _profile(schema)


def profile_ids() -> tuple[str, ...]:
    """Return the ids of the profiles that come with heliodock."""
    return tuple(sorted(file.stem for file in DEVICES.glob("*.yaml")))


def _file_of(path_or_id: Path | str) -> Path:
    if isinstance(path_or_id, Path) or path_or_id.endswith((".yaml", ".yml")):
        return Path(path_or_id)
    if path_or_id not in profile_ids():
        raise ConfigError(path_or_id, 0, "", f"no such profile; known: {', '.join(profile_ids())}")
    return DEVICES / f"{path_or_id}.yaml"


def _refuse(source: YamlFile, problems: Iterator[Problem]) -> None:
    first = min(problems, key=lambda problem: source.line_of(problem[0]), default=None)
    if first is not None:
        raise source.error(*first)


def _problems(schema: ProfileSchema) -> Iterator[Problem]:
    for missing in sorted(required_names(schema.kind) - schema.points.keys()):
        yield ("points",), f"a {schema.kind} needs the point {missing}"
    for name, point in schema.points.items():
        yield from _naming_problems(schema.kind, name, point)
        for key, text in (*_value_problems(name, point), *WIRE_PROBLEMS[schema.protocol](point)):
            yield ("points", name, *key), text
    yield from _reference_problems(schema)


def _naming_problems(kind: str, name: str, point: PointSchema) -> Iterator[Problem]:
    known = names_of_kind(kind)
    if name not in known:
        yield ("points", name), f"unknown point of a {kind}; known: {', '.join(sorted(known - EXTRA_NAMES))}"
        return
    units = units_of_name(name)
    if point.unit not in units:
        said = point.unit or "none"
        yield (
            ("points", name, "unit"),
            f"the unit {said} does not fit; known here: {', '.join(units) or 'none'}",
        )
    if name == "setpoint_kw" and point.write is None:
        yield ("points", name), "needs a key write"


def _value_problems(name: str, point: PointSchema) -> Iterator[Problem]:
    if point.valid is not None and not point.valid[0] < point.valid[1]:
        yield ("valid",), "the first bound must be below the second"
    if point.not_available and point.encoding is Encoding.STRING:
        yield ("not_available",), "an empty text already means that there is none"
    if point.symbols and point.encoding in NOT_NUMBERS:
        yield ("symbols",), f"name whole numbers only, not {point.encoding}"
    if name == "state":
        if not point.symbols:
            yield (), "a state needs a key symbols"
        for raw, symbol in point.symbols.items():
            if symbol not in list(ConnectorState):
                yield ("symbols", str(raw)), f"must be one of {', '.join(ConnectorState)}"
    if (point.encoding is Encoding.STRING) and name != "session_id":
        yield ("encoding",), "only a session_id may be a text"


def _modbus_problems(point: PointSchema) -> Iterator[Problem]:
    if point.address is None:
        yield (), "needs a key address (0-based)"
    if point.node:
        yield ("node",), "belongs to OPC UA"
    if (point.encoding is Encoding.STRING) != (point.length > 0):
        yield ("encoding",), "a text (and nothing else) needs a length in registers"
    if point.write is None:
        return
    if point.function != 3:
        yield ("function",), "what can be written is read with function 3"
    if point.write.function == 0:
        yield ("write", "function"), "must be 6 or 16"
    if point.write.function == 6 and point.encoding not in ONE_WORD:
        yield ("write", "function"), f"function 6 writes one register; {point.encoding} needs 16"


def _opcua_problems(point: PointSchema) -> Iterator[Problem]:
    if not point.node:
        yield (), "needs a key node"
    foreign: tuple[tuple[str, bool], ...] = (
        ("address", point.address is not None),
        ("length", point.length > 0),
        ("word_order", point.word_order != "big"),
    )
    for key, is_given in foreign:
        if is_given:
            yield (key,), "belongs to Modbus"
    if point.write is not None and point.write.function != 0:
        yield ("write", "function"), "must be 0 for OPC UA"


def _sunspec_problems(point: PointSchema) -> Iterator[Problem]:
    if not point.sunspec:
        yield (), "needs a key sunspec"
    for index, text in enumerate(point.sunspec):
        problem = problem_of(text, point.unit, is_written=point.write is not None)
        if problem is not None:
            yield ("sunspec", index), problem
    for key in point.model_fields_set & {
        "encoding",
        "address",
        "node",
        "word_order",
        "not_available",
        "length",
    }:
        yield (key,), "is told by the SunSpec model"


WIRE_PROBLEMS = {
    Protocol.MODBUS_TCP: _modbus_problems,
    Protocol.OPCUA: _opcua_problems,
    Protocol.SUNSPEC: _sunspec_problems,
}


def _reference_problems(schema: ProfileSchema) -> Iterator[Problem]:
    for name in (name for name, point in schema.points.items() if point.length > schema.max_registers):
        yield ("points", name, "length"), "exceeds max_registers"
    for index, name in enumerate(schema.alive):
        if name not in schema.points:
            yield ("alive", index), f"names the point {name}, which is not there"
    if schema.protocol is Protocol.OPCUA and not schema.namespace:
        yield ("namespace",), "is missing; OPC UA needs the namespace URI"
    if schema.protocol is Protocol.OPCUA and schema.unit_stride:
        yield ("unit_stride",), "belongs to Modbus"
    if schema.watchdog is None:
        return
    for key, name in (
        ("timeout_point", schema.watchdog.timeout_point),
        ("fallback_point", schema.watchdog.fallback_point),
    ):
        point = schema.points.get(name)
        if point is None or point.write is None or not point.write.readback:
            yield ("watchdog", key), f"{name} must be a point that can be written and read back"
    if "setpoint_kw" not in schema.points:
        yield ("watchdog",), "guards a setpoint_kw, which is not there"


def _profile(schema: ProfileSchema) -> Profile:
    return Profile(
        profile_id=schema.profile_id,
        protocol=schema.protocol,
        kind=schema.kind,
        points={name: _point(name, point) for name, point in schema.points.items()},
        watchdog=Watchdog(**schema.watchdog.model_dump()) if schema.watchdog else None,
        alive=schema.alive,
        source=schema.source,
        verified=schema.verified,
        timeout_s=schema.timeout_s,
        min_gap_s=schema.min_gap_s,
        max_registers=schema.max_registers,
        max_gap=schema.max_gap,
        unit_stride=schema.unit_stride,
        namespace=schema.namespace,
    )


def _point(name: str, schema: PointSchema) -> Point:
    fields = schema.model_dump(exclude={"address", "write"})
    rule = WriteRule(**schema.write.model_dump()) if schema.write else None
    return Point(name=name, address=schema.address or 0, write=rule, **fields)
