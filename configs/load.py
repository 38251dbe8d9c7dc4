"""Reads a site file into a ``Site`` with its devices. What is wrong is one ``ConfigError``: the first in the file."""

from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path

from configs.asset_list import base_load_of, batteries_of, connectors_of, grid_meter_of, pv_plants_of
from configs.bindings import bindings_of, device_problems, unserved_problems
from configs.limit_tree import nodes_of, tree_problems, unheld_problems
from configs.problems import nearest
from configs.schema import SiteFile, TwinModel
from configs.sink_settings import sink_settings
from configs.site_checks import site_problems
from configs.tariff_file import TARIFFS, check_timezone, load_tariff
from configs.yaml_lines import YamlFile, read_model
from station.profile import DeviceBinding
from station.sinks import SinkSettings
from station.tariff import Tariff
from station.topology import Control, Planning, Site

CONFIGS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class TwinSettings:
    """What the twin plays where the command line names nothing else.

    ``load_factor`` and ``pv_factor`` scale the columns of ``series``; ``first_day`` is a local date.
    """

    sessions: Path | None = None
    series: Path | None = None
    load_factor: float = 1.0
    pv_factor: float = 1.0
    first_day: date | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class LoadedSite:
    """A site file, read and checked. ``devices`` is empty for a site that only the twin runs."""

    site: Site
    devices: tuple[DeviceBinding, ...]
    twin: TwinSettings
    file: Path
    sinks: SinkSettings = field(default_factory=SinkSettings)


def load_site(file: Path) -> LoadedSite:
    """Return the site in ``file``; raise ``ConfigError`` with file, line and key.

    Fallbacks that break a limit do not raise: see ``fallback_problems``.
    """
    model, source = read_model(file, SiteFile)
    check_timezone(source, ("site", "timezone"), model.site.timezone)
    _refuse_first(source, model)
    tariff = _tariff(source, model)
    connectors = connectors_of(model.assets)
    site = Site(
        site_id=model.site.id,
        timezone=model.site.timezone,
        latitude=model.site.latitude,
        longitude=model.site.longitude,
        meter=grid_meter_of(model.assets),
        base_load=base_load_of(model.assets),
        batteries=batteries_of(model.assets),
        pv_plants=pv_plants_of(model.assets),
        connectors=connectors,
        nodes=nodes_of(model),
        tariff=tariff,
        planning=Planning(**model.planning.model_dump()),
        control=Control(**model.control.model_dump()),
        grid_kg_co2_per_kwh=model.site.grid_kg_co2_per_kwh,
    )
    return LoadedSite(
        site,
        bindings_of(source, model, connectors),
        _twin(source, model.twin),
        file,
        sink_settings(file, model.northbound),
    )


def fallback_problems(site: Site) -> list[str]:
    """Return one text for each limit that the fallbacks and the declared base load would break by themselves.

    Each names the node and the devices. Where there is one, fallbacks are held and nothing is granted.
    """
    return list(site.fallback_problems)


def _refuse_first(source: YamlFile, model: SiteFile) -> None:
    """Raise for the first problem in the file; what is left out comes last, because a misspelt name explains it."""
    wrong = chain(site_problems(model), tree_problems(model), device_problems(model))
    left_out = chain(unheld_problems(model), unserved_problems(model))
    for problems in (wrong, left_out):
        first = min(problems, key=lambda problem: source.line_of(problem[0]), default=None)
        if first is not None:
            raise source.error(*first)


def _tariff(source: YamlFile, model: SiteFile) -> Tariff:
    """Return the tariff that the site names by id, or by a path to a file."""
    name = model.tariff
    if name.endswith((".yaml", ".yml")):
        file = found(source.file, name)
        if not file.is_file():
            raise source.error(("tariff",), f"no such file: {file}")
    else:
        file = TARIFFS / f"{name}.yaml"
        known = sorted(entry.stem for entry in TARIFFS.glob("*.yaml"))
        if name not in known:
            raise source.error(("tariff",), f"unknown tariff '{name}'; {nearest(name, known)}")
    tariff = load_tariff(file)
    if tariff.demand.window_s % model.planning.slot_s:
        raise source.error(
            ("planning", "slot_s"), f"must divide the tariff's demand window of {tariff.demand.window_s:g} s"
        )
    return tariff


def _twin(source: YamlFile, model: TwinModel) -> TwinSettings:
    return TwinSettings(
        sessions=found(source.file, model.sessions) if model.sessions else None,
        series=found(source.file, model.series) if model.series else None,
        load_factor=model.scale.load_kw,
        pv_factor=model.scale.pv_kw,
        first_day=model.from_,
        days=model.days,
    )


def found(site_file: Path, name: str) -> Path:
    """Return the file ``name`` beside the site file, else heliodock's own of that name, else where it should be."""
    beside = site_file.parent / name
    own = CONFIGS / name
    return own if own.is_file() and not beside.is_file() else beside
