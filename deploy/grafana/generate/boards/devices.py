"""Devices: who is lost, old or wrong, and does the controller itself keep time?"""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import Query, figure, latest, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, graph, palette, stat, table, timeline

QUALITY = timeline(
    Text(
        "Heard or lost · 通信状态",
        "Red: no believable value; control then assumes the worst case. 红色：无可信数据，控制按最坏情况处理。",
    ),
    trend("device", {"quality": "quality"}, by="asset", function="min"),
    words=look.QUALITY,
)

NEWEST = table(
    Text(
        "Now · 当前", "Errors: failed reads since the controller started. 错误：控制器启动以来读取失败次数。"
    ),
    latest(
        "device", {"State · 状态": "quality", "Age · 数据龄": "age_s", "Errors · 错误": "errors"}, by="asset"
    ),
    unit=look.COUNT,
    styles=(
        Style("Time", is_hidden=True),
        Style("asset", unit=look.TEXT, width=120),
        Style("State · 状态", unit=look.COUNT, words=look.QUALITY),
        Style("Age · 数据龄", unit=look.SECONDS, steps=look.AGE),
    ),
    is_now=True,
)

AGE = palette(
    graph(
        Text("Age of the newest value · 数据龄", "The highest in each interval. 每个间隔内的最大值。"),
        trend("device", {"age": "age_s"}, by="asset", function="max"),
        unit=look.SECONDS,
        low=0.0,
    )
)

ERRORS = palette(
    graph(
        Text(
            "Failed reads · 读取失败",
            "How many more in each interval; a restart of the controller begins at 0. 每个间隔内新增次数；重启后从 0 计。",
        ),
        trend("device", {"errors": 'non_negative_difference(last("errors"))'}, by="asset"),
        unit=look.COUNT,
        low=0.0,
        bars=True,
        stacked=True,
    )
)

LATENESS = graph(
    Text(
        "Lateness of the control loop · 控制循环延迟",
        "The worst in each interval. A cycle is due every second on most sites. 每个间隔内的最大值。",
    ),
    trend("loop", {"Worst · 最大": "lateness_ms", "Plan solved in · 求解": "plan_solve_ms"}, function="max"),
    unit=look.MS,
    styles=(Style("Worst · 最大", look.GRID), Style("Plan solved in · 求解", look.PLAN)),
    low=0.0,
    steps=look.LATE,
)

LOST = stat(
    Text("Devices lost · 失联设备", "Assets without a believable value now. 当前无可信数据的设备数。"),
    Query(
        'SELECT sum("lost") AS "lost" FROM (SELECT 1 - last("quality") AS "lost" FROM "device" '
        'WHERE "site" = \'$site\' AND $timeFilter GROUP BY "asset")',
        alias="$col",
    ),
    unit=look.COUNT,
    steps=look.NONE_IS_GOOD,
    decimals=0,
    is_now=True,
)
MISSED = stat(
    Text("Cycles missed · 漏掉的周期", "In the time range. 所选时间内。"),
    figure("loop", 'max("missed") - min("missed")'),
    unit=look.COUNT,
    steps=look.NONE_IS_GOOD,
    decimals=0,
)
WORST = stat(
    Text("Worst lateness · 最大延迟", "In the time range. 所选时间内。"),
    figure("loop", 'max("lateness_ms")'),
    unit=look.MS,
    steps=look.LATE,
)
LAG = stat(
    Text(
        "Meter's lag · 电表滞后",
        "How old a value already is when the grid meter hands it out. 电表数据送出时的滞后。",
    ),
    figure("site", 'last("lag_s")'),
    unit=look.SECONDS,
    is_now=True,
)

PAGE = Page(
    "heliodock-devices",
    "5 Devices · 设备",
    "Who is lost, old or wrong, and does the controller keep time?",
    (
        across(4, (6, LOST), (6, WORST), (6, MISSED), (6, LAG)),
        across(11, (15, QUALITY), (9, NEWEST)),
        across(8, (8, AGE), (8, ERRORS), (8, LATENESS)),
    ),
)
