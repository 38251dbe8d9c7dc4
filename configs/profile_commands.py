"""What is wrong with the commands of a profile: how a setpoint becomes a sequence of writes."""

from collections.abc import Iterator

from configs.profile_schema import ProfileSchema, StepSchema
from configs.yaml_lines import KeyPath

DIRECTIONS = {"charge", "discharge", "rest"}
UNITS = {"W", "kW"}

Problem = tuple[KeyPath, str]


def command_problems(schema: ProfileSchema) -> Iterator[Problem]:
    """Yield what is wrong, in no order."""
    given = set(schema.commands)
    if not given:
        return
    if schema.kind == "meter":
        yield ("commands",), "a meter takes none"
    if "setpoint_kw" in schema.points:
        yield ("points", "setpoint_kw"), "the commands already tell how a setpoint is written"
    if "set" not in given and not given >= DIRECTIONS:
        missing = ", ".join(sorted(DIRECTIONS - given))
        yield ("commands",), f"needs set, or charge, discharge and rest; missing: {missing}"
    if "set" in given and given & DIRECTIONS:
        yield ("commands", "set"), f"stands beside {', '.join(sorted(given & DIRECTIONS))}: one or the other"
    for name, steps in schema.commands.items():
        if not steps:
            yield ("commands", name), "needs a step"
        for index, step in enumerate(steps):
            for key, text in _step_problems(schema, name, step):
                yield ("commands", name, index, *key), text


def _step_problems(schema: ProfileSchema, command: str, step: StepSchema) -> Iterator[Problem]:
    if bool(step.write) is bool(step.ensure):
        yield (), "needs one of write and ensure"
        return
    key = "ensure" if step.ensure else "write"
    name = step.ensure or step.write
    point = schema.everything.get(name)
    if point is None or point.write is None:
        yield (key,), f"{name} must be a point that can be written"
        return
    if (step.value is None) is not bool(step.carries):
        yield (), "needs one of value and carries"
    if step.ensure and not point.readable:
        yield ("ensure",), f"{name} can't be read: use write"
    if step.carries and command in {"rest", "release"}:
        yield ("carries",), f"{command} has no setpoint"
    if step.carries in {"setpoint", "charge", "discharge"} and command != "set":
        yield ("carries",), f"{command} knows the magnitude only"
    if step.carries == "magnitude" and command == "set":
        yield ("carries",), "set needs a part that tells the direction"
    if step.carries and point.unit not in UNITS:
        yield ("carries",), f"{name} needs a unit of power: {', '.join(sorted(UNITS))}"
