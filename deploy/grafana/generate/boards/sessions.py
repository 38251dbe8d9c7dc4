"""Sessions: who charged, how much, and did they get what they asked for?"""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import figure, listing, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, graph, palette, stat, table, timeline

OVER = "Sessions that ended in the time range."

ENERGY = stat(
    Text("Energy delivered · 已充电量", f"{OVER} On the cars' side. 所选时间内结束的会话，车侧电量。"),
    figure("session", 'sum("energy_kwh")'),
    unit=look.KWH,
    colour=look.CARS,
)
NUMBER = stat(
    Text("Sessions · 会话数", f"{OVER} 所选时间内结束的会话。"),
    figure("session", 'count("energy_kwh")'),
    unit=look.COUNT,
    colour=look.CARS,
    decimals=0,
)
SERVED = stat(
    Text(
        "Delivered of requested · 满足率",
        "Of those that said how much they want. Drivers often ask for more than the car can take. "
        "仅统计给出需求的会话；车主常多报。",
    ),
    figure("session", 'sum("energy_kwh") / sum("requested_kwh")', where='"requested_kwh" > 0'),
    unit=look.SHARE,
    colour=look.CARS,
)
STAY = stat(
    Text("Mean stay · 平均停留", f"{OVER} 所选时间内结束的会话。"),
    figure("session", 'mean("stay_h")'),
    unit=look.HOURS,
    colour=look.CALM,
)

POWER = palette(
    graph(
        Text(
            "Charging power, stacked · 充电功率（堆叠）", "One band for each connector. 每个充电枪一条色带。"
        ),
        trend("asset", {"power": "power_kw"}, where="\"kind\" = 'connector'", by="asset"),
        unit=look.KW,
        low=0.0,
        stacked=True,
    )
)

PRESENCE = timeline(
    Text("Cars at the connectors · 车辆在位", "Blue: a car is plugged in. 蓝色表示有车接入。"),
    trend("asset", {"occupied": "occupied"}, where="\"kind\" = 'connector'", by="asset", function="last"),
    words=look.OCCUPIED,
)

HOURLY = graph(
    Text(
        "Energy by hour of leaving · 每小时已充电量",
        "Of the sessions that ended in that hour. 按会话结束时间。",
    ),
    trend("session", {"Energy · 电量": "energy_kwh"}, function="sum"),
    unit=look.KWH,
    styles=(Style("Energy · 电量", look.CARS),),
    low=0.0,
    bars=True,
)

SESSIONS = table(
    Text("Sessions, newest first · 会话（最新在前）", "Time: when the car left. 时间为车辆离开时刻。"),
    listing(
        "session",
        {
            "Connector · 充电枪": "connector",
            "Delivered · 已充": "energy_kwh",
            "Requested · 需求": "requested_kwh",
            "Stay · 停留": "stay_h",
            "Session · 会话": "session_id",
        },
    ),
    unit=look.KWH,
    styles=(
        Style("Time", unit=look.TIME, width=180),
        Style("Connector · 充电枪", unit=look.TEXT),
        Style("Stay · 停留", unit=look.HOURS),
        Style("Session · 会话", unit=look.TEXT),
    ),
)

PAGE = Page(
    "heliodock-sessions",
    "3 Sessions · 充电会话",
    "Who charged, how much, and did they get what they asked for?",
    (
        across(4, (6, ENERGY), (6, NUMBER), (6, SERVED), (6, STAY)),
        across(10, (14, POWER), (10, PRESENCE)),
        across(10, (8, HOURLY), (16, SESSIONS)),
    ),
    begins="now-24h",
)
