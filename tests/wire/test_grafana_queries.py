"""Every query that Grafana is given runs on a real InfluxDB that was told a day of the demonstration station.

Grafana does not install here. What it does to a query before it is sent is done by ``asked`` below: macros and
variables become text, as pkg/tsdb/influxdb does it.
"""

import asyncio
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from configs.load import load_site
from deploy.grafana.generate.alerts import RULES, Rule
from deploy.grafana.generate.boards import PAGES
from deploy.grafana.generate.files import HOME
from northbound.lines import EPOCH, MILLISECOND
from tests.wire.demo_day import ENDS_AT, SILENT, SILENT_FROM_AT, SITE, STARTS_AT, STATION, tell_demo_day
from tests.wire.timeseries import InfluxQuery

BOARDS = {page.uid: json.loads((HOME / f"dashboards/{page.uid}.json").read_text()) for page in PAGES}
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"]]
TARGETS = [(uid, panel, target) for uid, panel in PANELS for target in panel["targets"]]
CHOSEN = {"heliodock-decisions": SILENT, "heliodock-battery": "battery"}
"""The asset that a reader of a dashboard has chosen."""

Series = list[dict[str, Any]]


def name_of(value: object) -> str:
    match value:
        case {"title": str(title)}:
            return title.split(" · ")[0]
        case {"refId": str(ref)}:
            return ref
        case Rule():
            return value.uid
    return str(value)


@pytest.fixture(scope="session")
def day(influxdb_port: int, tmp_path_factory: pytest.TempPathFactory) -> InfluxQuery:
    """Give an InfluxDB that has been told the demonstration day."""
    database = InfluxQuery(influxdb_port, "grafana_demo_day")
    directory = tmp_path_factory.mktemp("demo_day")
    asyncio.run(tell_demo_day(directory, influxdb_port, database.database))
    return database


def asked(query: str, asset: str = "", span: tuple[datetime, datetime] = (STARTS_AT, ENDS_AT)) -> str:
    """Return a query as Grafana sends it."""
    begin_ms, end_ms = ((at - EPOCH) // MILLISECOND for at in span)
    text = query.replace("$timeFilter", f"time >= {begin_ms}ms and time <= {end_ms}ms")
    text = text.replace("$__interval", "1m").replace("$site", SITE).replace("$asset", asset)
    assert "$" not in text
    return text


def columns_with_values(series: Series) -> set[str]:
    return {
        column
        for one in series
        for index, column in enumerate(one["columns"])
        if any(row[index] is not None for row in one["values"])
    }


@pytest.mark.parametrize(("uid", "panel", "target"), TARGETS, ids=name_of)
def test_a_query_of_a_panel_gives_rows_with_the_tags_that_it_asks_for(
    day: InfluxQuery, uid: str, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    series = day.ask(asked(target["query"], CHOSEN.get(uid, "")))
    assert sum(len(one["values"]) for one in series) > 0
    expected = set(re.findall(r'AS "([^"]+)"', target["query"].split(" FROM ")[0]))
    assert expected <= columns_with_values(series)
    tags = set(re.findall(r'GROUP BY (?:time\([^)]*\), )?"(\w+)"', target["query"].rsplit(")", 1)[-1]))
    tags |= {tag.removeprefix("$tag_") for tag in re.findall(r"\$tag_\w+", target["alias"])}
    for one in series:
        assert set(one.get("tags", {})) == tags
        assert all(one.get("tags", {}).values())


@pytest.mark.parametrize(("uid", "panel", "target"), TARGETS, ids=name_of)
def test_a_query_by_asset_has_every_asset_of_its_kind(
    day: InfluxQuery, uid: str, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    site = load_site(STATION).site
    assets = {one["tags"]["asset"] for one in day.ask(asked(target["query"], "ac1")) if "tags" in one}
    if 'FROM "device"' in target["query"] and assets:
        assert assets == {site.meter.asset_id, *site.by_id}
    elif "'connector'" in target["query"]:
        assert assets == {connector.asset_id for connector in site.connectors}
    elif "'battery'" in target["query"] and assets:
        assert assets == {battery.asset_id for battery in site.batteries}
    else:
        assert not assets


@pytest.mark.parametrize("uid", BOARDS)
def test_the_choices_of_a_dashboard_are_the_site_and_its_assets(day: InfluxQuery, uid: str) -> None:
    choices = {}
    for variable in BOARDS[uid]["templating"]["list"]:
        if variable["type"] == "query":
            found = day.ask(asked(variable["query"]))
            choices[variable["name"]] = [value for one in found for _, value in one["values"]]
    assert choices.pop("site") == [SITE]
    assert all(CHOSEN[uid] in values for values in choices.values())
    assert bool(choices) == (uid in CHOSEN)


def at(uid: str, title: str, day: InfluxQuery, span: tuple[datetime, datetime]) -> float:
    """Return the number that a stat shows for a time range."""
    query = next(
        target["query"]
        for board, panel, target in TARGETS
        if board == uid and panel["title"].startswith(title)
    )
    value = day.ask(asked(query, CHOSEN.get(uid, ""), span))[0]["values"][-1][1]
    return float(value)


def test_figures_are_what_they_say(day: InfluxQuery) -> None:
    whole, silent = (STARTS_AT, ENDS_AT), (SILENT_FROM_AT, SILENT_FROM_AT + timedelta(minutes=10))
    assert at("heliodock-devices", "Devices lost", day, silent) == 1.0
    assert at("heliodock-devices", "Devices lost", day, whole) == 0.0
    assert at("heliodock-live", "Alarms", day, silent) == 1.0
    imported = at("heliodock-carbon", "Imported", day, whole)
    net = day.ask(asked('SELECT integral("grid_kw", 1h) FROM "site" WHERE $timeFilter'))[0]["values"][0][1]
    assert imported - at("heliodock-carbon", "Exported", day, whole) == pytest.approx(net)
    assert at("heliodock-carbon", "CO₂", day, whole) == pytest.approx(0.25 * imported)
    assert at("heliodock-carbon", "Intensity", day, whole) == pytest.approx(0.25)
    through = day.ask(asked('SELECT integral("battery_kw", 1h) FROM "site" WHERE $timeFilter'))[0]["values"][
        0
    ][1]
    charged = at("heliodock-battery", "Charged", day, whole)
    assert charged - at("heliodock-battery", "Discharged", day, whole) == pytest.approx(through)


def test_why_a_charger_was_slow_at_a_minute_is_one_query(day: InfluxQuery) -> None:
    """The example of docs/grafana.md."""
    query = next(
        target["query"]
        for uid, panel, target in TARGETS
        if uid == "heliodock-decisions" and "commands and reasons" in panel["title"]
    )
    minute = SILENT_FROM_AT + timedelta(minutes=12)
    rows = day.ask(asked(query, SILENT, (STARTS_AT, minute)))[0]
    newest = dict(zip(rows["columns"], rows["values"][0], strict=True))
    assert newest["Why · 原因"] == "lost_reading: no answer"


# ---- alert rules, judged as Grafana does: the newest value of each series against the bound


def firing(rule: Rule, database: InfluxQuery, now: datetime) -> set[str]:
    """Return the series for which a rule's condition holds: site, or site and asset."""
    span = (now - timedelta(seconds=rule.looks_back_s), now)
    found = set()
    for one in database.ask(asked(rule.query, span=span)):
        assert one["columns"] == ["time", "value"]
        values = [row[1] for row in one["values"] if row[1] is not None]
        way, bound = rule.beyond
        if values and (values[-1] > bound if way == "gt" else values[-1] < bound):
            found.add("/".join(one["tags"][tag] for tag in ("site", "asset") if tag in one["tags"]))
    return found


def all_firing(database: InfluxQuery, now: datetime) -> dict[str, set[str]]:
    found = {rule.uid: firing(rule, database, now) for rule in RULES}
    return {uid: series for uid, series in found.items() if series}


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_a_rule_has_a_series_for_the_site(day: InfluxQuery, rule: Rule) -> None:
    noon = STARTS_AT + timedelta(hours=12)
    series = day.ask(asked(rule.query, span=(noon - timedelta(seconds=rule.looks_back_s), noon)))
    assert {one["tags"]["site"] for one in series} == {SITE}
    assert columns_with_values(series) == {"time", "value"}


def test_no_rule_fires_in_a_good_hour(day: InfluxQuery) -> None:
    assert all_firing(day, STARTS_AT + timedelta(hours=12, seconds=30)) == {}


def test_a_silent_charger_is_told_by_name(day: InfluxQuery) -> None:
    now = SILENT_FROM_AT + timedelta(minutes=10)
    assert all_firing(day, now) == {"heliodock-device": {"demo/ac3"}, "heliodock-alarm": {"demo"}}


def test_a_station_that_tells_nothing_more_is_told(day: InfluxQuery) -> None:
    assert all_firing(day, ENDS_AT + timedelta(minutes=12)) == {"heliodock-silent": {SITE}}


@pytest.mark.parametrize(
    ("uid", "line", "series"),
    [
        ("heliodock-limit", "site,site=x cars=1.0,grid_kw=118.0,limit_kw=120.0", "x"),
        ("heliodock-meter", "site,site=x cars=1.0,limit_kw=120.0", "x"),
        ("heliodock-lateness", "loop,site=x lateness_ms=700.0", "x"),
        ("heliodock-soc", "asset,site=x,asset=b1,kind=battery soc=0.05", "x/b1"),
    ],
)
def test_a_rule_fires_for_what_it_is_for(influxdb_port: int, uid: str, line: str, series: str) -> None:
    trouble = InfluxQuery(influxdb_port, uid)
    trouble.write(f"{line} {(STARTS_AT - EPOCH) // MILLISECOND}")
    rule = next(rule for rule in RULES if rule.uid == uid)
    assert firing(rule, trouble, STARTS_AT + timedelta(seconds=50)) == {series}
