"""What is wrong with a profile beyond its form: names, units, places, and what refers to what."""

import re
from collections.abc import Iterator

from configs.profile_commands import command_problems
from configs.profile_names import EXTRA_NAMES, names_of_kind, required_names, units_of_name
from configs.profile_schema import PointSchema, ProfileSchema, ScalingSchema, WatchdogSchema
from configs.sunspec_addresses import problem_of
from configs.yaml_lines import KeyPath
from station.measurement import ConnectorState
from station.profile import CANONICAL_FACTORS, Encoding, Protocol

ONE_WORD = (Encoding.UINT16, Encoding.INT16, Encoding.BOOL)
NOT_NUMBERS = (Encoding.BOOL, Encoding.STRING, Encoding.FLOAT32, Encoding.FLOAT64)
WORDS_OF = {
    **dict.fromkeys((Encoding.UINT32, Encoding.INT32, Encoding.FLOAT32), 2),
    **dict.fromkeys((Encoding.UINT64, Encoding.INT64, Encoding.FLOAT64), 4),
}
PLACE_KEYS = (
    "address",
    "words",
    "node",
    "sunspec",
    "function",
    "word_order",
    "length",
    "encoding",
    "bits",
    "write",
)
"""What a sum has none of."""
LOCAL = {"local", "remote"}
NAME = re.compile(r"[a-z][a-z0-9_]*")

Problem = tuple[KeyPath, str]


def problems(schema: ProfileSchema) -> Iterator[Problem]:
    """Yield what is wrong, in no order."""
    for missing in sorted(required_names(schema.kind) - schema.points.keys()):
        if not schema.partial:
            yield ("points",), f"a {schema.kind} needs the point {missing}"
    for section, points in (("points", schema.points), ("auxiliary", schema.auxiliary)):
        for name, point in points.items():
            naming = (
                _naming_problems(schema.kind, name, point)
                if section == "points"
                else _own(schema, name, point)
            )
            for key, text in (*naming, *_value_problems(name, point), *_place_problems(schema, point)):
                yield (section, name, *key), text
            references = (*_scaling_problems(schema, point), *_sum_problems(schema, name, point))
            for key, text in (*references, *_readable_problems(schema, name, point)):
                yield (section, name, *key), text
    yield from _source_problems(schema)
    yield from _reference_problems(schema)
    yield from command_problems(schema)


def _naming_problems(kind: str, name: str, point: PointSchema) -> Iterator[Problem]:
    known = names_of_kind(kind)
    if name not in known:
        yield (), f"unknown point of a {kind}; known: {', '.join(sorted(known - EXTRA_NAMES))}"
        return
    units = units_of_name(name)
    if point.unit not in units:
        said = point.unit or "none"
        yield ("unit",), f"the unit {said} does not fit; known here: {', '.join(units) or 'none'}"
    if name == "setpoint_kw" and point.write is None:
        yield (), "needs a key write"


def _own(schema: ProfileSchema, name: str, point: PointSchema) -> Iterator[Problem]:
    if not NAME.fullmatch(name):
        yield (), "a name of small letters, digits and _ is needed"
    if name in schema.points or name in names_of_kind(schema.kind):
        yield (), "is a name of heliodock's own; it belongs to points"
    if point.unit not in CANONICAL_FACTORS:
        yield ("unit",), f"the unit {point.unit} is not known"


def _value_problems(name: str, point: PointSchema) -> Iterator[Problem]:
    if point.valid is not None and not point.valid[0] < point.valid[1]:
        yield ("valid",), "the first bound must be below the second"
    if point.not_available and point.encoding is Encoding.STRING:
        yield ("not_available",), "an empty text already means that there is none"
    if point.symbols and point.encoding in NOT_NUMBERS:
        yield ("symbols",), f"name whole numbers only, not {point.encoding}"
    if point.bits is not None and (point.encoding in NOT_NUMBERS or point.write is not None):
        yield ("bits",), "belong to whole numbers that are only read"
    if name == "state":
        if not point.symbols:
            yield (), "a state needs a key symbols"
        for raw, symbol in point.symbols.items():
            if symbol not in list(ConnectorState):
                yield ("symbols", str(raw)), f"must be one of {', '.join(ConnectorState)}"
    if name == "is_local" and point.symbols and set(point.symbols.values()) != LOCAL:
        yield ("symbols",), "must name local and remote"
    if (point.encoding is Encoding.STRING) and name != "session_id":
        yield ("encoding",), "only a session_id may be a text"


def _readable_problems(schema: ProfileSchema, name: str, point: PointSchema) -> Iterator[Problem]:
    if point.readable:
        return
    if point.write is None or point.write.readback:
        yield ("readable",), "what can't be read must have a write without readback"
    if name in required_names(schema.kind):
        yield ("readable",), f"a {schema.kind} needs to read it"


def _place_problems(schema: ProfileSchema, point: PointSchema) -> Iterator[Problem]:
    if point.sum_of:
        for key in sorted(point.model_fields_set & set(PLACE_KEYS)):
            yield (key,), "a sum has no place of its own"
        return
    match schema.protocol:
        case Protocol.MODBUS_TCP:
            yield from _modbus_problems(point)
        case Protocol.OPCUA:
            yield from _opcua_problems(point)
        case Protocol.SUNSPEC:
            yield from _sunspec_problems(point)


def _modbus_problems(point: PointSchema) -> Iterator[Problem]:
    if "encoding" not in point.model_fields_set:
        yield (), "needs a key encoding"
    if (point.address is None) is not bool(point.words):
        yield (), "needs a key address (0-based), or words where its registers lie apart"
    if point.words and len(point.words) != WORDS_OF.get(point.encoding, 1):
        yield ("words",), f"{point.encoding} has {WORDS_OF.get(point.encoding, 1)} of them"
    if point.node:
        yield ("node",), "belongs to OPC UA"
    if (point.encoding is Encoding.STRING) != (point.length > 0):
        yield ("encoding",), "a text (and nothing else) needs a length in registers"
    if point.write is None:
        return
    if point.words:
        yield ("words",), "what lies apart can't be written"
    if point.function != 3:
        yield ("function",), "what can be written is read with function 3"
    if point.write.function == 0:
        yield ("write", "function"), "must be 6 or 16"
    if point.write.function == 6 and point.encoding not in ONE_WORD:
        yield ("write", "function"), f"function 6 writes one register; {point.encoding} needs 16"


def _opcua_problems(point: PointSchema) -> Iterator[Problem]:
    if "encoding" not in point.model_fields_set:
        yield (), "needs a key encoding"
    if not point.node:
        yield (), "needs a key node"
    for key in sorted(point.model_fields_set & {"address", "words", "length", "word_order", "scaled_by"}):
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
    told = {
        "encoding",
        "address",
        "words",
        "node",
        "word_order",
        "not_available",
        "length",
        "scaled_by",
        "bits",
    }
    for key in sorted(point.model_fields_set & told):
        yield (key,), "is told by the SunSpec model"


def _scaling_problems(schema: ProfileSchema, point: PointSchema) -> Iterator[Problem]:
    for index, scaling in enumerate(point.scaled_by):
        other = schema.everything.get(scaling.point)
        path: KeyPath = ("scaled_by", index)
        if other is None:
            yield (*path, "point"), f"names the point {scaling.point}, which is not there"
        elif other.scaled_by or other.sum_of or other.symbols or other.encoding is Encoding.STRING:
            yield (*path, "point"), f"{scaling.point} must be a plain number"
        for key, text in _how_problems(scaling):
            yield (*path, *key), text


def _how_problems(scaling: ScalingSchema) -> Iterator[Problem]:
    starts = [case.start for case in scaling.cases]
    if (scaling.how == "cases") is not bool(scaling.cases):
        yield ("cases",), "belong to how: cases, which needs them"
    if starts != sorted(set(starts)):
        yield ("cases",), "must rise"
    if (scaling.how == "bit") is not (scaling.mask > 0):
        yield ("mask",), "belongs to how: bit, which needs it"


def _sum_problems(schema: ProfileSchema, name: str, point: PointSchema) -> Iterator[Problem]:
    for index, part in enumerate(point.sum_of):
        other = schema.everything.get(part)
        if other is None or part == name:
            yield ("sum_of", index), f"names the point {part}, which is not there"
        elif other.sum_of or other.unit != point.unit:
            yield ("sum_of", index), f"{part} must be a point in {point.unit or 'no unit'} and no sum itself"


def _source_problems(schema: ProfileSchema) -> Iterator[Problem]:
    if not schema.source and not schema.sources:
        yield ("source",), "is missing: where the map was found"
    for section, points in (("points", schema.points), ("auxiliary", schema.auxiliary)):
        for name, point in points.items():
            if point.source and point.source not in schema.sources:
                yield (section, name, "source"), f"'{point.source}' is none of the sources"
            if not point.source and len(schema.sources) > 1:
                yield (section, name), "needs a key source: which of the sources tells of it"


def _reference_problems(schema: ProfileSchema) -> Iterator[Problem]:
    for name in (name for name, point in schema.points.items() if point.length > schema.max_registers):
        yield ("points", name, "length"), "exceeds max_registers"
    for index, name in enumerate(schema.alive):
        if name not in schema.everything:
            yield ("alive", index), f"names the point {name}, which is not there"
    if schema.protocol is Protocol.OPCUA and not schema.namespace:
        yield ("namespace",), "is missing; OPC UA needs the namespace URI"
    if schema.protocol is Protocol.OPCUA and schema.unit_stride:
        yield ("unit_stride",), "belongs to Modbus"
    if schema.watchdog is not None:
        yield from _watchdog_problems(schema, schema.watchdog)


def _watchdog_problems(schema: ProfileSchema, watchdog: WatchdogSchema) -> Iterator[Problem]:
    for what, name, fixed in (
        ("timeout", watchdog.timeout_point, watchdog.timeout_s),
        ("fallback", watchdog.fallback_point, watchdog.fallback_kw),
    ):
        if bool(name) is (fixed is not None):
            unit = "s" if what == "timeout" else "kw"
            yield ("watchdog",), f"needs one of {what}_point and {what}_{unit}"
        point = schema.everything.get(name)
        if name and (point is None or point.write is None or not point.write.readback):
            yield ("watchdog", f"{what}_point"), f"{name} must be a point that can be written and read back"
    if watchdog.kind == "countdown" and not watchdog.timeout_point:
        yield ("watchdog", "kind"), "a countdown needs a timeout_point"
    beaten = schema.everything.get(watchdog.heartbeat_point)
    if (watchdog.kind == "heartbeat") is not (beaten is not None and beaten.write is not None):
        yield (
            ("watchdog", "heartbeat_point"),
            "a heartbeat (and nothing else) needs a point that can be written",
        )
    if "setpoint_kw" not in schema.points and not schema.commands:
        yield ("watchdog",), "guards a setpoint_kw, which is not there"
