"""Plan against actual: does the station do what was planned, and is the forecast right?"""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import figure, listing, raw, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, graph, stat, table

SLOTS_MS = 3_700_000.0
"""Plans have a point per slot: of at most an hour."""


def _against(title: str, about: str, measured: str, planned: str, colour: str) -> object:
    return graph(
        Text(title, about),
        trend("site", {"Measured · 实测": measured}),
        raw("plan", {"Planned · 计划": planned}),
        unit=look.KW,
        styles=(
            Style("Measured · 实测", colour),
            Style("Planned · 计划", look.PLAN, is_dashed=True, is_step=True),
        ),
        gap_ms=SLOTS_MS,
    )


GRID = graph(
    Text(
        "Grid: measured and planned · 电网：实测与计划",
        "The dashed line is the newest plan for each slot, also for the hours to come. The limit is what may be imported for ever. "
        "虚线为每个时段的最新计划（包括未来）。",
    ),
    trend("site", {"Measured · 实测": "grid_kw", "Limit · 限值": "limit_kw"}),
    raw("plan", {"Planned · 计划": "grid_kw"}),
    unit=look.KW,
    styles=(
        Style("Measured · 实测", look.GRID),
        Style("Limit · 限值", look.LIMIT, is_dashed=True),
        Style("Planned · 计划", look.PLAN, is_dashed=True, is_step=True),
    ),
    gap_ms=SLOTS_MS,
)

BATTERY = graph(
    Text(
        "Battery: measured and planned · 电池：实测与计划",
        "Sum of all batteries, charging positive; planned: what the plan in force said at that moment. 充电为正；计划为当时有效的计划。",
    ),
    trend(
        "asset",
        {"Measured · 实测": "power_kw", "Planned · 计划": "planned_kw"},
        where="\"kind\" = 'battery'",
    ),
    unit=look.KW,
    styles=(
        Style("Measured · 实测", look.BATTERY),
        Style("Planned · 计划", look.PLAN, is_dashed=True),
    ),
)

OFF_PLAN = graph(
    Text(
        "Grid off the plan · 电网偏离计划",
        "Measured less planned at that moment: above zero, more was imported than planned. 实测减当时计划；为正表示购电多于计划。",
    ),
    trend("site", {"Off the plan · 偏差": 'mean("grid_kw") - mean("planned_grid_kw")'}),
    unit=look.KW,
    styles=(Style("Off the plan · 偏差", look.GRID, fill=20),),
)

PLANS = table(
    Text(
        "Plans, newest first · 计划（最新在前）",
        "Peak: the billed mean that the plan never means to exceed. Cost: of the whole horizon, in the tariff's currency. "
        "峰值：计划不打算超过的计费均值；费用：整个计划期。",
    ),
    listing(
        "plan_made",
        {
            "Origin · 来源": "origin",
            "Peak · 峰值": "peak_kw",
            "Cost · 费用": "expected_cost",
            "Solved in · 求解": "solve_ms",
            "Note · 备注": "note",
        },
        most=50,
    ),
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("Origin · 来源", unit=look.TEXT),
        Style("Peak · 峰值", unit=look.KW),
        Style("Cost · 费用", unit=look.MONEY),
        Style("Solved in · 求解", unit=look.MS),
        Style("Note · 备注", unit=look.TEXT),
    ),
)

PLANNED_PEAK = stat(
    Text(
        "Peak meant · 计划峰值",
        "The billed mean that the newest plan never means to exceed. 最新计划不打算超过的计费均值。",
    ),
    figure("plan_made", 'last("peak_kw")'),
    unit=look.KW,
    colour=look.PLAN,
)

MONTH_PEAK = stat(
    Text(
        "Month's peak so far · 本月峰值",
        "The highest billed mean of the month so far. 本月迄今最高计费均值。",
    ),
    figure("site", 'last("month_peak_kw")'),
    unit=look.KW,
    colour=look.GRID,
)

PAGE = Page(
    "heliodock-plan",
    "2 Plan and actual · 计划与实际",
    "Does the station do what was planned, and was the forecast right?",
    (
        across(11, (24, GRID)),
        across(
            8,
            (
                8,
                _against(
                    "Building: measured and forecast · 楼宇：实测与预测",
                    "What nobody controls. 不可控负荷。",
                    "base_load_kw",
                    "load_kw",
                    look.BUILDING,
                ),
            ),
            (
                8,
                _against(
                    "PV: measured and forecast · 光伏：实测与预测",
                    "Shown positive. 以正值显示。",
                    "pv_kw",
                    "pv_kw",
                    look.PV,
                ),
            ),
            (8, BATTERY),
        ),
        ((8, ((8, OFF_PLAN),)), (4, ((4, PLANNED_PEAK), (4, MONTH_PEAK))), (12, ((8, PLANS),))),
    ),
    begins="now-12h",
    ends="now+24h",
)
