"""Decisions: why does this device do what it does?"""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import ONE_ASSET, listing, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import ASSETS, Page, across
from deploy.grafana.generate.panels import Text, graph, table

OBEYS = graph(
    Text(
        "$asset: measured, commanded, planned · 实测、设定、计划",
        "A setpoint of a connector is the most that it permits; of PV, the most that it may feed in. Where the measured power stays "
        "below the setpoint, the car takes no more. 设定为上限；实测低于设定时是车辆自身限制。",
    ),
    trend(
        "asset",
        {"Measured · 实测": "power_kw", "Setpoint · 设定": "setpoint_kw", "Plan · 计划": "planned_kw"},
        where=ONE_ASSET,
    ),
    unit=look.KW,
    styles=(
        Style("Measured · 实测", look.CARS, fill=15),
        Style("Setpoint · 设定", look.LIMIT, is_step=True),
        Style("Plan · 计划", look.PLAN, is_dashed=True, is_step=True),
    ),
)

WHY = table(
    Text(
        "$asset: commands and reasons, newest first · 指令与原因",
        "Every command that changed something, and why it is not what the plan says. No power: nothing was written. "
        "每条有变化的指令，及其偏离计划的原因；无功率表示未写入。",
    ),
    listing(
        "command",
        {
            "Power · 功率": "power_kw",
            "Why · 原因": "reasons",
            "Lease · 租约": "lease_s",
            "Room · 让路": "makes_room",
        },
        where=ONE_ASSET,
    ),
    unit=look.KW,
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("Power · 功率", width=110),
        Style("Why · 原因", unit=look.TEXT, words=look.REASONS),
        Style("Lease · 租约", unit=look.SECONDS, width=110),
        Style("Room · 让路", unit=look.COUNT, width=150, words=look.MAKES_ROOM),
    ),
)

ROOM = graph(
    Text(
        "What the station had room for · 站级余量",
        "Where the grid comes near what is allowed, cars wait. Support: what the battery gives to keep the grid below it. "
        "电网接近允许值时车辆需等待；支援为电池放电。",
    ),
    trend(
        "site",
        {
            "Grid · 电网": "grid_kw",
            "Cars · 充电": "charging_kw",
            "Allowed · 允许": "allowed_kw",
            "Limit · 限值": "limit_kw",
            "Support · 支援": "support_kw",
        },
    ),
    unit=look.KW,
    styles=(
        Style("Grid · 电网", look.GRID),
        Style("Cars · 充电", look.CARS),
        Style("Allowed · 允许", look.ALLOWED, is_dashed=True),
        Style("Limit · 限值", look.LIMIT, is_dashed=True),
        Style("Support · 支援", look.BATTERY),
    ),
)

LEASE = graph(
    Text(
        "$asset: lease left · 租约剩余",
        "How long the device still holds its setpoint; then it falls back. 到期后设备回到安全值。",
    ),
    trend("asset", {"Lease left · 剩余": "lease_left_s"}, where=ONE_ASSET, function="min"),
    unit=look.SECONDS,
    styles=(Style("Lease left · 剩余", look.CALM, fill=10),),
    low=0.0,
)

ALARMS = table(
    Text("Alarms of the station · 全站告警", "Raised and cleared, newest first. 触发与恢复，最新在前。"),
    listing("alarm", {"State · 状态": "raised", "Asset · 设备": "asset", "Alarm · 告警": "text"}),
    unit=look.TEXT,
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("State · 状态", unit=look.COUNT, width=120, words=look.RAISED),
        Style("Asset · 设备", width=110),
    ),
)

EVERYONE = table(
    Text("Commands of the whole station · 全站指令", "Newest first. 最新在前。"),
    listing("command", {"Asset · 设备": "asset", "Power · 功率": "power_kw", "Why · 原因": "reasons"}),
    unit=look.KW,
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("Asset · 设备", unit=look.TEXT, width=110),
        Style("Power · 功率", width=110),
        Style("Why · 原因", unit=look.TEXT, words=look.REASONS),
    ),
)

PAGE = Page(
    "heliodock-decisions",
    "4 Decisions and alarms · 决策与告警",
    "Why does this device do what it does? Choose it above.",
    (
        ((13, ((9, OBEYS), (8, ROOM))), (11, ((13, WHY), (4, LEASE)))),
        across(9, (13, EVERYONE), (11, ALARMS)),
    ),
    begins="now-1h",
    assets=ASSETS,
)
