"""Alert rules. They have no variables: each query makes a series, and so an alert, for each site (and asset)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

DATASOURCE = "heliodock-influxdb"
"""The uid that provisioning/datasources gives."""

EXPRESSION = {"type": "__expr__", "uid": "__expr__"}


@dataclass(frozen=True)
class Rule:
    """Fires for a series whose newest value lies beyond ``bound`` (``gt`` above, ``lt`` below) for ``lasting``."""

    uid: str
    title: str
    query: str
    looks_back_s: int
    beyond: tuple[str, float]
    lasting: str
    severity: str
    summary: str
    board: str
    without_data: str = "OK"


def _each_minute(
    expression: str, measurement: str, tags: str = '"site"', where: str = "", fill: str = "none"
) -> str:
    condition = f"{where} AND $timeFilter" if where else "$timeFilter"
    return (
        f'SELECT {expression} AS "value" FROM "{measurement}" WHERE {condition} '
        f"GROUP BY time(1m), {tags} fill({fill})"
    )


RULES = (
    Rule(
        "heliodock-limit",
        "Import near its limit · 购电接近限值",
        _each_minute('mean("grid_kw") / mean("limit_kw")', "site"),
        300,
        ("gt", 0.95),
        "2m",
        "warning",
        "{{ $labels.site }}: the grid is above 95 % of its limit. 购电超过限值的 95 %。",
        "heliodock-live",
    ),
    Rule(
        "heliodock-meter",
        "Grid meter lost · 电网表失联",
        _each_minute('count("cars") - count("grid_kw")', "site", fill="0"),
        300,
        ("gt", 0.0),
        "1m",
        "critical",
        "{{ $labels.site }}: records without a value of the grid meter; control assumes the worst case. 电网表无可信数据。",
        "heliodock-devices",
    ),
    Rule(
        "heliodock-device",
        "Device lost · 设备失联",
        _each_minute('min("quality")', "device", '"site", "asset"'),
        300,
        ("lt", 1.0),
        "2m",
        "warning",
        "{{ $labels.site }}: {{ $labels.asset }} has no believable value. 设备无可信数据。",
        "heliodock-devices",
    ),
    Rule(
        "heliodock-silent",
        "No data from a station · 站点无数据",
        # the mean of two spans of three minutes: of the last alone nothing may be there yet because it has just begun
        'SELECT moving_average(count("cars"), 2) AS "value" FROM "site" WHERE $timeFilter '
        'GROUP BY time(3m), "site" fill(0)',
        86_400,
        ("lt", 0.5),
        "0s",
        "critical",
        "{{ $labels.site }}: no record for at least three minutes. 至少三分钟无数据。",
        "heliodock-live",
        without_data="Alerting",
    ),
    Rule(
        "heliodock-alarm",
        "Alarm raised · 有告警",
        _each_minute('max("alarms")', "site"),
        300,
        ("gt", 0.0),
        "0s",
        "warning",
        "{{ $labels.site }}: {{ $values.B.Value }} alarms stand; the dashboard names them. 有未恢复的告警。",
        "heliodock-decisions",
    ),
    Rule(
        "heliodock-lateness",
        "Control loop late · 控制循环延迟",
        _each_minute('max("lateness_ms")', "loop"),
        300,
        ("gt", 500.0),
        "2m",
        "warning",
        "{{ $labels.site }}: a cycle came half a second late in each of the last minutes. 控制周期持续延迟超过半秒。",
        "heliodock-devices",
    ),
    Rule(
        "heliodock-soc",
        "Battery low · 电池电量低",
        _each_minute('last("soc")', "asset", '"site", "asset"', "\"kind\" = 'battery'"),
        300,
        ("lt", 0.08),
        "10m",
        "info",
        "{{ $labels.site }}: {{ $labels.asset }} is below 8 %. 电池电量低于 8 %。",
        "heliodock-battery",
    ),
)


def provisioned() -> dict[str, Any]:
    """Return the file of alert rules as Grafana reads it."""
    group = {"orgId": 1, "name": "heliodock", "folder": "heliodock", "interval": "1m"}
    return {"apiVersion": 1, "groups": [{**group, "rules": [_rule(rule) for rule in RULES]}]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "title": rule.title,
        "condition": "C",
        "data": list(_data(rule)),
        "noDataState": rule.without_data,
        "execErrState": "Error",
        "for": rule.lasting,
        "annotations": {"summary": rule.summary, "dashboard": f"/d/{rule.board}"},
        "labels": {"severity": rule.severity, "source": "heliodock"},
        "isPaused": False,
    }


def _data(rule: Rule) -> Iterator[dict[str, Any]]:
    span = {"from": rule.looks_back_s, "to": 0}
    query = {
        "refId": "A",
        "rawQuery": True,
        "query": rule.query,
        "resultFormat": "time_series",
        "intervalMs": 1000,
        "maxDataPoints": 43_200,
    }
    yield {"refId": "A", "relativeTimeRange": span, "datasourceUid": DATASOURCE, "model": query}
    newest = {"type": "reduce", "expression": "A", "reducer": "last", "settings": {"mode": "dropNN"}}
    yield _expression("B", newest)
    way, bound = rule.beyond
    yield _expression(
        "C",
        {
            "type": "threshold",
            "expression": "B",
            "conditions": [{"evaluator": {"type": way, "params": [bound]}}],
        },
    )


def _expression(ref: str, model: dict[str, Any]) -> dict[str, Any]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 0, "to": 0},
        "datasourceUid": "__expr__",
        "model": {"refId": ref, "datasource": dict(EXPRESSION), **model},
    }
