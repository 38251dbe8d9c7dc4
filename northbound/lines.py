"""Records and events as line protocol for InfluxDB: the schema of docs/influxdb.md. Pure.

All numbers are floats, so that the type of a field never changes. Time stamps are in ms and depend on nothing but the
record or event, so that a repeated message overwrites itself.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import zip_longest
from math import isfinite
from typing import Any

from northbound.feed import Event, Feed
from station.assets import Battery, Connector, Controllable
from station.topology import Site

SINK = "influxdb"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

SPREAD = 100
"""Alarms of one cycle are told at most so many ms later, by their numbers in the audit; else the last would remain."""

SITE_FIELDS = (
    "grid_kw",
    "base_load_kw",
    "pv_kw",
    "battery_kw",
    "charging_kw",
    "allowed_kw",
    "limit_kw",
    "support_kw",
    "lag_s",
    "window_mean_kw",
    "month_peak_kw",
    "planned_grid_kw",
    "price_per_kwh",
    "export_price_per_kwh",
    "cost_per_h",
    "pv_value_per_h",
    "battery_value_per_h",
    "kg_co2_per_h",
    "alarms",
    "cars",
)
ASSET_FIELDS = (
    "power_kw",
    "planned_kw",
    "setpoint_kw",
    "soc",
    "max_charge_kw",
    "max_discharge_kw",
    "session_kwh",
    "occupied",
    "lease_left_s",
)
DEVICE_FIELDS = ("age_s", "quality", "errors")
LOOP_FIELDS = {
    "lateness_ms": "loop.lateness_ms",
    "missed": "loop.missed",
    "plan_solve_ms": "plan.solve_ms",
}

Number = float | None
Series = tuple[str, tuple[tuple[str, str], ...]]
"""Measurement with tags, and for each field its name and that of its signal in a record."""


def influx_feed(site: Site) -> Feed:
    """Return how InfluxDB wants the records and events of ``site`` told: UTF-8 lines, without a final line break."""
    return Feed(SINK, partial(_of_record, _series_of(site)), partial(_of_event, site.site_id))


def kind_of(asset: Controllable) -> str:
    """Return the tag ``kind`` of an asset."""
    match asset:
        case Battery():
            return "battery"
        case Connector():
            return "connector"
    return "pv"


def _series_of(site: Site) -> tuple[Series, ...]:
    tags = {"site": site.site_id}
    series: list[Series] = [(_head("site", tags), tuple((name, name) for name in SITE_FIELDS))]
    for asset in site.controllables:
        head = _head("asset", {**tags, "asset": asset.asset_id, "kind": kind_of(asset)})
        series.append((head, _signals(asset.asset_id, ASSET_FIELDS)))
    series.extend(
        (_head("device", {**tags, "asset": asset_id}), _signals(asset_id, DEVICE_FIELDS))
        for asset_id in (site.meter.asset_id, *site.by_id)
    )
    series.append((_head("loop", tags), tuple(LOOP_FIELDS.items())))
    return tuple(series)


def _signals(asset_id: str, fields: Iterable[str]) -> tuple[tuple[str, str], ...]:
    return tuple((field, f"{asset_id}.{field}") for field in fields)


def _of_record(series: tuple[Series, ...], at: datetime, values: Mapping[str, float]) -> bytes | None:
    at_ms = _ms(at)
    lines = []
    for head, fields in series:
        numbers = _numbers((field, values.get(signal)) for field, signal in fields)
        if numbers:
            lines.append(f"{head} {','.join(numbers)} {at_ms}")
    return _joined(lines)


def _of_event(site_id: str, event: Event) -> bytes | None:
    tags = {"site": site_id}
    match event.kind:
        case "command":
            return _command(tags, event)
        case "alarm_raised" | "alarm_cleared":
            return _alarm(tags, event)
        case "session_ended":
            return _session(tags, event.body)
        case "plan":
            return _plan(tags, event.body)
    return None


def _command(tags: Mapping[str, str], event: Event) -> bytes | None:
    body = event.body
    numbers = {name: body[name] for name in ("power_kw", "lease_s", "makes_room")}
    texts = {"reasons": "; ".join(body["reasons"])}
    return _joined([_line("command", {**tags, "asset": body["asset_id"]}, numbers, texts, _ms(event.at))])


def _alarm(tags: Mapping[str, str], event: Event) -> bytes | None:
    alarm = str(event.body["alarm"])
    asset, is_about, _ = alarm.partition(": ")
    is_name = bool(is_about and asset) and " " not in asset  # a sentence would make a series of its own
    tags = {**tags, "asset": asset if is_name else "site"}
    raised = {"raised": float(event.kind == "alarm_raised")}
    return _joined([_line("alarm", tags, raised, {"text": alarm}, _ms(event.at) + event.number % SPREAD)])


def _session(tags: Mapping[str, str], body: Mapping[str, Any]) -> bytes | None:
    left_at = datetime.fromisoformat(body["unplugged_at"])
    stay_h = (left_at - datetime.fromisoformat(body["plugged_in_at"])) / timedelta(hours=1)
    numbers = {"energy_kwh": body["energy_kwh"], "requested_kwh": body["requested_kwh"], "stay_h": stay_h}
    texts = {"session_id": body["session_id"]}
    tags = {**tags, "connector": body["connector_id"]}
    return _joined([_line("session", tags, numbers, texts, _ms(left_at))])


def _plan(tags: Mapping[str, str], body: Mapping[str, Any]) -> bytes | None:
    numbers = {name: body[name] for name in ("peak_kw", "expected_cost", "solve_ms")}
    made_ms = _ms(datetime.fromisoformat(body["made_at"]))
    made = _line("plan_made", {**tags, "origin": body["origin"]}, numbers, {"note": body["note"]}, made_ms)
    starts_at, slot = datetime.fromisoformat(body["starts_at"]), timedelta(seconds=body["slot_s"])
    slots = enumerate(zip_longest(body["grid_kw"], body["load_kw"], body["pv_kw"]))
    lines = [_slot(tags, kws, _ms(starts_at + index * slot)) for index, kws in slots]
    return _joined([made, *lines])


def _slot(tags: Mapping[str, str], kws: tuple[Number, Number, Number], at_ms: int) -> str:
    grid_kw, load_kw, pv_kw = kws
    shown_kw = None if pv_kw is None else 0.0 - pv_kw
    return _line("plan", tags, {"grid_kw": grid_kw, "load_kw": load_kw, "pv_kw": shown_kw}, {}, at_ms)


def _line(
    measurement: str,
    tags: Mapping[str, str],
    numbers: Mapping[str, Number],
    texts: Mapping[str, str],
    at_ms: int,
) -> str:
    """Return one point, empty where no field has a value."""
    fields = [*_numbers(numbers.items()), *(f'{name}="{_quoted(text)}"' for name, text in texts.items())]
    return f"{_head(measurement, tags)} {','.join(fields)} {at_ms}" if fields else ""


def _head(measurement: str, tags: Mapping[str, str]) -> str:
    return ",".join([measurement, *(f"{name}={_tag(value)}" for name, value in tags.items() if value)])


def _numbers(values: Iterable[tuple[str, Number]]) -> list[str]:
    """Return each field that has a value: always a float, also where the value is a whole number or a bool."""
    return [
        f"{name}={float(value)!r}" for name, value in values if value is not None and isfinite(float(value))
    ]


def _tag(text: str) -> str:
    """Escape a tag's value. A backslash can't be escaped there, so it is told as a slash."""
    plain = _one_line(text).replace("\\", "/")
    return plain.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _quoted(text: str) -> str:
    return _one_line(text).replace("\\", "\\\\").replace('"', '\\"')


def _one_line(text: str) -> str:
    """Return a text without line breaks, so that each line is one point, whoever splits them."""
    return text.replace("\n", " ").replace("\r", " ")


def _ms(at: datetime) -> int:
    return (at - EPOCH) // MILLISECOND


def _joined(lines: Iterable[str]) -> bytes | None:
    return "\n".join(line for line in lines if line).encode("utf-8", "replace") or None
