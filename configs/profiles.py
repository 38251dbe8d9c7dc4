"""Reads device profiles (``configs/devices/*.yaml``). What passes here can be read and written without surprise."""

from pathlib import Path

from configs.profile_checks import problems
from configs.profile_schema import PointSchema, ProfileSchema, ScalingSchema, StepSchema, VerifiedSchema
from configs.yaml_lines import read_model
from station.errors import ConfigError
from station.profile import Point, Profile, Scaling, Step, Watchdog, WriteRule

DEVICES = Path(__file__).parent / "devices"


def load_profile(path_or_id: Path | str) -> Profile:
    """Return the profile in a file, or the one of that id among heliodock's own; raise ``ConfigError``."""
    file = _file_of(path_or_id)
    schema, source = read_model(file, ProfileSchema)
    if schema.profile_id != file.stem:
        raise source.error(("profile_id",), f"must be the name of the file, {file.stem}")
    first = min(problems(schema), key=lambda problem: source.line_of(problem[0]), default=None)
    if first is not None:
        raise source.error(*first)
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


def _profile(schema: ProfileSchema) -> Profile:
    return Profile(
        profile_id=schema.profile_id,
        protocol=schema.protocol,
        kind=schema.kind,
        points={name: _point(name, point) for name, point in schema.everything.items()},
        watchdog=Watchdog(**schema.watchdog.model_dump()) if schema.watchdog else None,
        alive=schema.alive,
        source=schema.source or "; ".join(schema.sources.values()),
        verified=_verified(schema.verified),
        timeout_s=schema.timeout_s,
        min_gap_s=schema.min_gap_s,
        connect_delay_s=schema.connect_delay_s,
        keep_open=schema.keep_open,
        max_registers=schema.max_registers,
        max_gap=schema.max_gap,
        unit_stride=schema.unit_stride,
        namespace=schema.namespace,
        title=schema.title,
        sources=schema.sources,
        auxiliary=frozenset(schema.auxiliary),
        commands={name: tuple(_step(step) for step in steps) for name, steps in schema.commands.items()},
        is_partial=schema.partial,
    )


def _verified(said: bool | str | VerifiedSchema) -> str:
    match said:
        case VerifiedSchema():
            return f"by {said.by}, firmware {said.firmware}, {said.date}"
        case str():
            return said
    return "not on hardware"


def _point(name: str, schema: PointSchema) -> Point:
    fields = schema.model_dump(exclude={"address", "write", "scaled_by", "monotonic"})
    rule = WriteRule(**schema.write.model_dump()) if schema.write else None
    return Point(
        name=name,
        address=schema.address or 0,
        write=rule,
        scaled_by=tuple(_scaling(scaling) for scaling in schema.scaled_by),
        is_monotonic=schema.monotonic,
        **fields,
    )


def _step(schema: StepSchema) -> Step:
    return Step(schema.ensure or schema.write, schema.value, schema.carries, is_kept=bool(schema.ensure))


def _scaling(schema: ScalingSchema) -> Scaling:
    cases = tuple((case.start, case.scale) for case in schema.cases)
    return Scaling(schema.point, schema.how, cases, schema.mask, schema.scale)
