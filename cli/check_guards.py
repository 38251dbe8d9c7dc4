"""Which devices no watchdog guards: ``heliodock check`` says so before control is given and finds no room at night."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from controller.leases import lease_s
from drivers.watchdog import Guard, misfit
from station.assets import Battery, Connector, Controllable, PvPlant
from station.topology import Site

if TYPE_CHECKING:
    from configs.load import LoadedSite

Asset = TypeVar("Asset", Battery, PvPlant, Connector)


def unguarded(loaded: "LoadedSite") -> dict[str, str]:
    """Return the assets that will be booked at their rating whatever they are told, and why."""
    found = {}
    for binding in loaded.devices:
        watchdog = binding.profile.watchdog
        for asset_id in binding.asset_ids:
            asset = loaded.site.by_id.get(asset_id)
            if asset is None:
                continue
            problem = f"{binding.profile.profile_id} tells of no watchdog"
            if watchdog is not None:
                problem = misfit(watchdog, Guard(lease_s(asset, loaded.site.control), asset.fallback_kw))
            is_at_rating_anyway = isinstance(asset, PvPlant) and asset.fallback_kw == asset.nameplate.min_kw
            if problem and not is_at_rating_anyway:
                found[asset_id] = problem
    return found


def full_limits(site: Site, at_rating: Mapping[str, str]) -> tuple[str, ...]:
    """Return the limits that are full as soon as those assets are booked at their rating: nothing could be granted."""
    problems: dict[str, None] = {}
    for end in (_most, _least):
        rated = replace(
            site,
            batteries=tuple(_booked(asset, at_rating, end) for asset in site.batteries),
            pv_plants=tuple(_booked(asset, at_rating, end) for asset in site.pv_plants),
            connectors=tuple(_booked(asset, at_rating, end) for asset in site.connectors),
        )
        problems |= dict.fromkeys(rated.fallback_problems)
    return tuple(problem for problem in problems if problem not in site.fallback_problems)


def _booked(asset: Asset, at_rating: Mapping[str, str], end: Callable[[Controllable], float]) -> Asset:
    return replace(asset, fallback_kw=end(asset)) if asset.asset_id in at_rating else asset


def _most(asset: Controllable) -> float:
    return asset.nameplate.max_kw


def _least(asset: Controllable) -> float:
    return asset.nameplate.min_kw
