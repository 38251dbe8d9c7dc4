"""Cost and saving, in the tariff's currency (¤). What each figure means is said in its description: they are no bill."""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import figure, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, graph, stat

GAPS = "Where records are missing, the two neighbours are joined by a straight line."

ENERGY_COST = stat(
    Text(
        "Energy cost · 电量电费",
        "Integral over the time range of import × import price; export × export price counts against it. Without demand charge, fees and "
        f"taxes: the bill is `heliodock report`. ¤: the tariff's currency. {GAPS} "
        "购电量×购电价−上网电量×上网电价，不含需量电费；¤ 为电价货币。",
    ),
    figure("site", 'integral("cost_per_h", 1h)'),
    unit=look.MONEY,
    colour=look.GRID,
    decimals=2,
)
PV_VALUE = stat(
    Text(
        "Value of PV · 光伏价值",
        "Integral of PV power × import price: what the same energy would have cost from the grid. What was exported counts at the import "
        f"price too, so this is the most that PV can have saved. {GAPS} 光伏电量按购电价计值（含上网部分），为节省上限。",
    ),
    figure("site", 'integral("pv_value_per_h", 1h)'),
    unit=look.MONEY,
    colour=look.PV,
    decimals=2,
)
BATTERY_VALUE = stat(
    Text(
        "Value of the battery · 电池价值",
        "Integral of discharge × import price less charge × import price: what shifting energy in time earned. Energy that is still "
        "stored counts as spent; wear and a lower demand charge are not in it; charging from PV counts at the import price. "
        f"{GAPS} 放电×购电价−充电×购电价；未计损耗与需量节省；尚存电量按已支出计。",
    ),
    figure("site", 'integral("battery_value_per_h", 1h)'),
    unit=look.MONEY,
    colour=look.BATTERY,
    decimals=2,
)
MONTH_PEAK = stat(
    Text(
        "Month's peak · 本月峰值",
        "The highest billed mean of the month so far; the demand charge goes by it. 本月最高计费均值，决定需量电费。",
    ),
    figure("site", 'last("month_peak_kw")'),
    unit=look.KW,
    colour=look.LIMIT,
)

RATE = graph(
    Text(
        "What flows cost or are worth, per hour · 每小时费用与价值",
        "At this moment's prices. Cost below zero: export earns. 按当时电价；费用为负表示上网收入。",
    ),
    trend(
        "site",
        {
            "Energy cost · 电费": "cost_per_h",
            "PV · 光伏": "pv_value_per_h",
            "Battery · 电池": "battery_value_per_h",
        },
    ),
    unit=look.MONEY_PER_H,
    styles=(
        Style("Energy cost · 电费", look.GRID),
        Style("PV · 光伏", look.PV),
        Style("Battery · 电池", look.BATTERY),
    ),
)

PRICES = graph(
    Text("Prices · 电价", "Import and export price of the tariff. 购电价与上网电价。"),
    trend(
        "site",
        {"Import · 购电": "price_per_kwh", "Export · 上网": "export_price_per_kwh"},
        function="last",
    ),
    unit=look.PRICE,
    styles=(
        Style("Import · 购电", look.GRID, is_step=True),
        Style("Export · 上网", look.PV, is_step=True),
    ),
    low=0.0,
)

DEMAND = graph(
    Text(
        "Billed mean against the month's peak · 需量与本月峰值",
        "Mean import of the window that is being formed (often 15 minutes). Where it ends above the month's peak, the demand charge rises. "
        "当前计费窗口的平均购电功率；超过本月峰值则需量电费上升。",
    ),
    trend(
        "site",
        {"Window so far · 当前窗口": "window_mean_kw", "Month's peak · 本月峰值": "month_peak_kw"},
        function="last",
    ),
    unit=look.KW,
    styles=(
        Style("Window so far · 当前窗口", look.GRID),
        Style("Month's peak · 本月峰值", look.LIMIT, is_dashed=True, is_step=True),
    ),
    low=0.0,
)

PAGE = Page(
    "heliodock-cost",
    "6 Cost and saving · 费用与节省",
    "What did energy cost, and what were PV and battery worth?",
    (
        across(5, (6, ENERGY_COST), (6, PV_VALUE), (6, BATTERY_VALUE), (6, MONTH_PEAK)),
        across(10, (24, RATE)),
        across(8, (12, DEMAND), (12, PRICES)),
    ),
    begins="now/d",
    refresh="10s",
)
