"""Scenario files: a site, cars, surroundings, faults and what is demanded, as data. ``load_scenario`` reads one.

Times ``at_s`` and durations are seconds of station time from the start of the run; powers are kW, energies kWh on the
car's side. Whatever is wrong is one ``ConfigError`` that names file, line and key.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

from configs.csv_data import read_series
from configs.load import LoadedSite, found, load_site
from configs.problems import nearest
from configs.schema import Amount, Name, Share, Size, Text
from configs.yaml_lines import Checked, KeyPath, YamlFile, read_model
from hil.criteria import CHARGING, GRID, AtEnd, Criteria, Criterion, NeverLonger, Settles, Within, fault_of

LONGEST_S = 86_400.0


class RigKind(StrEnum):
    """Where a scenario runs: ``sim`` in virtual time; ``emu`` over real sockets, in real time."""

    SIM = "sim"
    EMU = "emu"


class PlanKind(StrEnum):
    """Who plans: the optimizer, nobody (plain rules), or a seeded source of nonsense (NaN, enormous, reversed)."""

    OPTIMIZER = "optimizer"
    NONE = "none"
    GARBAGE = "garbage"


class FaultKind(StrEnum):
    """What a device does wrong.

    ``silent`` answers nothing; ``frozen`` answers with the values of the moment at which it froze and acts on no write;
    ``refuse_writes`` refuses every write; ``local``: a person at the device has taken control.
    """

    SILENT = "silent"
    FROZEN = "frozen"
    REFUSE_WRITES = "refuse_writes"
    LOCAL = "local"


class CarFile(Checked):
    """A car that comes at ``at_s`` and leaves ``stay_s`` later, as its driver says it will."""

    at_s: Amount
    connector: Text
    energy_kwh: Size
    stay_s: Size
    requested_kwh: Amount | None = None
    soc: Share | None = None
    capacity_kwh: Size | None = None
    max_power_kw: Size | None = None


class StepFile(Checked):
    """A power that holds from ``at_s`` until the next step."""

    at_s: Amount
    kw: Amount


class FaultFile(Checked):
    """A fault of the device ``on`` from ``at_s``, for ``for_s`` seconds."""

    at_s: Amount
    for_s: Size
    on: Text
    kind: FaultKind

    @property
    def ends_s(self) -> float:
        """Return the second from which the device is well again."""
        return self.at_s + self.for_s

    def is_active(self, now_s: float) -> bool:
        """Return whether the device is ill at a second of the run."""
        return self.at_s <= now_s < self.ends_s


def _steps(given: float | tuple[StepFile, ...]) -> float | tuple[StepFile, ...]:
    if isinstance(given, tuple):
        if not given or given[0].at_s != 0.0:
            raise ValueError("the first step must be at_s: 0")
        if any(later.at_s <= step.at_s for step, later in pairwise(given)):
            raise ValueError("steps must be in the order of at_s")
    elif given < 0.0:
        raise ValueError("must be at least 0 kW")
    return given


Steps = Annotated[float | tuple[StepFile, ...], AfterValidator(_steps)]


class ScenarioFile(Checked):
    """A scenario. ``covers`` are ids of invariants and requirements, ``site`` is a file beside it or in ``configs/``.

    Without ``base_load_kw`` or ``sun_kw`` the site's own series is played. ``noise_kw`` is the seeded noise of the base
    load (standard deviation). ``lock`` is what a run noted of itself; it is not read.
    """

    id: Name
    title: Text
    covers: tuple[Text, ...] = Field(min_length=1)
    site: Text
    start: AwareDatetime
    duration_s: float = Field(gt=0.0, le=LONGEST_S)
    seed: int = Field(0, ge=0)
    rigs: tuple[RigKind, ...] = Field((RigKind.SIM, RigKind.EMU), min_length=1)
    soc: Share = 0.5
    base_load_kw: Steps | None = None
    sun_kw: Steps | None = None
    noise_kw: Amount = 0.0
    plan: PlanKind = PlanKind.OPTIMIZER
    cars: tuple[CarFile, ...] = ()
    faults: tuple[FaultFile, ...] = ()
    criteria: Criteria
    lock: dict[str, str] | None = None


@dataclass(frozen=True)
class Scenario:
    """A scenario, read and checked, with its site and its seed."""

    model: ScenarioFile
    loaded: LoadedSite
    file: Path

    def with_seed(self, seed: int) -> "Scenario":
        """Return the same scenario with another seed."""
        return replace(self, model=self.model.model_copy(update={"seed": seed}))

    def assets_of(self, device_id: str) -> tuple[str, ...]:
        """Return the assets behind a device."""
        return next(b.asset_ids for b in self.loaded.devices if b.device_id == device_id)


def load_scenario(file: Path) -> Scenario:
    """Return the scenario in ``file``; raise ``ConfigError`` with file, line and key."""
    model, source = read_model(file, ScenarioFile)
    loaded = load_site(found(file, model.site))
    scenario = Scenario(model, loaded, file)
    problems = (*_car_problems(scenario), *_surrounding_problems(scenario), *_fault_problems(scenario))
    problems = (*problems, *_criteria_problems(scenario))
    first = min(problems, key=lambda problem: source.line_of(problem[0]), default=None)
    if first is not None:
        raise source.error(*first)
    _check_series(scenario, source)
    return scenario


Problem = tuple[KeyPath, str]


def _car_problems(scenario: Scenario) -> Iterator[Problem]:
    known = [connector.asset_id for connector in scenario.loaded.site.connectors]
    for index, car in enumerate(scenario.model.cars):
        if car.connector not in known:
            yield (
                ("cars", index, "connector"),
                f"the site has no connector '{car.connector}'; {nearest(car.connector, known)}",
            )


def _surrounding_problems(scenario: Scenario) -> Iterator[Problem]:
    """A scenario keeps what the site declares: beyond that nothing is promised."""
    base, given = scenario.loaded.site.base_load, scenario.model.base_load_kw
    steps = (
        given if isinstance(given, tuple) else (StepFile(at_s=0.0, kw=given),) if given is not None else ()
    )
    for index, step in enumerate(steps):
        if not base.min_kw <= step.kw <= base.max_kw:
            path: KeyPath = ("base_load_kw", index, "kw") if isinstance(given, tuple) else ("base_load_kw",)
            yield path, f"the site declares {base.min_kw:g} to {base.max_kw:g} kW; {step.kw:g} is beyond"


def _fault_problems(scenario: Scenario) -> Iterator[Problem]:
    known = [binding.device_id for binding in scenario.loaded.devices]
    for index, fault in enumerate(scenario.model.faults):
        if fault.on not in known:
            yield ("faults", index, "on"), f"the site has no device '{fault.on}'; {nearest(fault.on, known)}"
        if fault.at_s >= scenario.model.duration_s:
            yield ("faults", index, "at_s"), "lies after the end of the run"


def _criteria_problems(scenario: Scenario) -> Iterator[Problem]:
    for index, criterion in enumerate(scenario.model.criteria):
        word = next(iter(criterion.model_fields_set))
        for key, problem in _demand_problems(scenario, criterion):
            yield ("criteria", index, word, *key), problem


def _demand_problems(scenario: Scenario, criterion: Criterion) -> Iterator[Problem]:
    site, demand = scenario.loaded.site, criterion.demand
    assets = list(site.by_id)
    match demand:
        case NeverLonger():
            nodes = [GRID, *(node.node_id for node in site.nodes if node.limits)]
            if demand.what not in nodes:
                yield (
                    ("what",),
                    f"no node with limits is called '{demand.what}'; {nearest(demand.what, nodes)}",
                )
        case Settles():
            known = [GRID, CHARGING, *assets]
            if demand.what not in known:
                yield ("what",), f"nothing is called '{demand.what}'; {nearest(demand.what, known)}"
        case Within():
            booked = demand.event.booked
            if booked is not None and booked not in assets:
                yield ("event", "booked"), f"the site has no asset '{booked}'; {nearest(booked, assets)}"
        case AtEnd():
            pass
    if isinstance(demand, Within | Settles):
        yield from _moment_problems(scenario, demand.after)


def _moment_problems(scenario: Scenario, moment: str) -> Iterator[Problem]:
    named, faults = fault_of(moment), scenario.model.faults
    if named is None:
        return
    number, is_end = named
    if number >= len(faults):
        yield ("after",), f"there is no fault {number + 1}; the scenario has {len(faults)}"
    elif is_end and faults[number].ends_s >= scenario.model.duration_s:
        yield ("after",), f"fault {number + 1} does not end within the run"


def _check_series(scenario: Scenario, source: YamlFile) -> None:
    """Refuse a start that the site's own series does not hold, where it is needed."""
    model, twin = scenario.model, scenario.loaded.twin
    if model.base_load_kw is not None and model.sun_kw is not None:
        return
    if twin.series is None:
        missing = "base_load_kw" if model.base_load_kw is None else "sun_kw"
        raise source.error((missing,), "is needed: the site names no series")
    if read_series(twin.series).index_at(model.start) is None:
        raise source.error(("start",), f"lies outside the site's series {twin.series}")
