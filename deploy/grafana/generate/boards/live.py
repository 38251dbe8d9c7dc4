"""Live station: is all well, and if not, where to look."""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import figure, latest, listing, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, gauge, graph, shades, stat, table

TO_DECISIONS = "/d/heliodock-decisions?${__url_time_range}&var-site=${site}&var-asset=${__data.fields.asset}"

FLOWS = graph(
    Text(
        "Power flows · 功率流向",
        "Import, charging and consumption are above zero; export and battery discharge below. PV is shown positive. "
        "Limit: what may be imported for ever. Allowed: what control aims below. 购电、充电、用电为正；上网、放电为负；光伏以正值显示。",
    ),
    trend(
        "site",
        {
            "PV · 光伏": "pv_kw",
            "Grid · 电网": "grid_kw",
            "Battery · 电池": "battery_kw",
            "Cars · 充电": "charging_kw",
            "Building · 楼宇": "base_load_kw",
            "Limit · 限值": "limit_kw",
            "Allowed · 允许": "allowed_kw",
        },
    ),
    unit=look.KW,
    styles=(
        Style("PV · 光伏", look.PV, fill=15),
        Style("Grid · 电网", look.GRID),
        Style("Battery · 电池", look.BATTERY),
        Style("Cars · 充电", look.CARS),
        Style("Building · 楼宇", look.BUILDING),
        Style("Limit · 限值", look.LIMIT, is_dashed=True),
        Style("Allowed · 允许", look.ALLOWED, is_dashed=True),
    ),
)

LOADING = gauge(
    Text(
        "Grid against its limit · 电网负载率",
        "Import divided by the limit in force, now. 当前购电功率与现行限值之比。",
    ),
    figure("site", 'last("grid_kw") / last("limit_kw")'),
    unit=look.SHARE,
    steps=look.ROOM,
    high=1.2,
)

SOC = shades(
    graph(
        Text("State of charge · 荷电状态", "Of each battery. 各电池的荷电状态。"),
        trend("asset", {"soc": "soc"}, where="\"kind\" = 'battery'", by="asset"),
        unit=look.SHARE,
        low=0.0,
        high=1.0,
    ),
    look.BATTERY,
)

CONNECTORS = table(
    Text(
        "Connectors · 充电枪",
        "The newest values of each. Lease: how long the charger still holds its setpoint. Click a name: why it does what it does. "
        "最新值；租约：充电桩还将保持设定值多久。点击名称查看原因。",
    ),
    latest(
        "asset",
        {
            "Car · 车辆": "occupied",
            "Power · 功率": "power_kw",
            "Setpoint · 设定": "setpoint_kw",
            "Plan · 计划": "planned_kw",
            "Session · 本次": "session_kwh",
            "Lease · 租约": "lease_left_s",
        },
        where="\"kind\" = 'connector'",
        by="asset",
    ),
    unit=look.KW,
    styles=(
        Style("Time", is_hidden=True),
        Style("asset", unit=look.TEXT, width=110, links_to=TO_DECISIONS),
        Style("Car · 车辆", unit=look.COUNT, words=look.OCCUPIED),
        Style("Session · 本次", unit=look.KWH),
        Style("Lease · 租约", unit=look.SECONDS),
    ),
    is_now=True,
)

ALARMS = table(
    Text(
        "Alarms, newest first · 告警（最新在前）",
        "Each alarm when it was raised and when it cleared, in the time range. 所选时间内告警的触发与恢复。",
    ),
    listing("alarm", {"State · 状态": "raised", "Alarm · 告警": "text"}, most=50),
    unit=look.TEXT,
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("State · 状态", unit=look.COUNT, width=120, words=look.RAISED),
    ),
)


def _now(title: str, about: str, field: str, colour: str) -> object:
    return stat(
        Text(title, about), figure("site", f'last("{field}")'), unit=look.KW, colour=colour, is_now=True
    )


ALARM_COUNT = stat(
    Text("Alarms · 告警", "Alarms that stand now. 当前未恢复的告警数。"),
    figure("site", 'last("alarms")'),
    unit=look.COUNT,
    steps=look.NONE_IS_GOOD,
    decimals=0,
    is_now=True,
)

LAST_RECORD = stat(
    Text("Last record · 最新记录", "When the station last told anything. 最近一次收到数据的时间。"),
    figure("site", 'last("cars")'),
    unit=look.SINCE,
    decimals=None,
    field="Time",
)

PAGE = Page(
    "heliodock-live",
    "1 Live station · 实时站况",
    "Is all well? Flows, limits, leases, state of charge, alarms.",
    (
        across(
            4,
            (3, ALARM_COUNT),
            (3, LAST_RECORD),
            (
                3,
                _now(
                    "Grid · 电网",
                    "Import is positive, export negative. 购电为正，上网为负。",
                    "grid_kw",
                    look.GRID,
                ),
            ),
            (3, _now("PV · 光伏", "Generation, shown positive. 发电功率。", "pv_kw", look.PV)),
            (
                4,
                _now(
                    "Battery · 电池", "Charging is positive. 充电为正，放电为负。", "battery_kw", look.BATTERY
                ),
            ),
            (4, _now("Cars · 充电", "All connectors together. 所有充电枪合计。", "charging_kw", look.CARS)),
            (
                4,
                _now(
                    "Building · 楼宇",
                    "What nobody meters: the grid meter less all metered devices. 电网表减去其余计量设备。",
                    "base_load_kw",
                    look.BUILDING,
                ),
            ),
        ),
        ((17, ((13, FLOWS),)), (7, ((6, LOADING), (7, SOC)))),
        across(11, (14, CONNECTORS), (10, ALARMS)),
    ),
    refresh="5s",
)
