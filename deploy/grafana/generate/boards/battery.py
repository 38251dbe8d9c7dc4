"""Battery: how full, how hard it works, what its BMS permits."""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import Query, energy, figure, positive, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import ASSETS, Page, across
from deploy.grafana.generate.panels import Text, graph, stat

BATTERIES = f"{ASSETS} AND \"kind\" = 'battery'"
IT = "\"kind\" = 'battery' AND \"asset\" = '$asset'"

SOC_NOW = stat(
    Text("State of charge · 荷电状态", "Now. 当前。"),
    figure("asset", 'last("soc")', where=IT),
    unit=look.SHARE,
    steps=look.SOC,
    is_now=True,
)
CHARGED = stat(
    Text("Charged · 充电量", "In the time range, on the AC side. 所选时间内，交流侧。"),
    Query(energy("asset", positive("power_kw"), where=IT), alias="$col"),
    unit=look.KWH,
    colour=look.BATTERY,
)
DISCHARGED = stat(
    Text("Discharged · 放电量", "In the time range, on the AC side. 所选时间内，交流侧。"),
    Query(energy("asset", positive("power_kw", "-"), where=IT), alias="$col"),
    unit=look.KWH,
    colour=look.BATTERY,
)
VALUE = stat(
    Text(
        "Value of all batteries · 电池价值",
        "Discharge × import price less charge × import price, in the tariff's currency ¤; see Cost and saving. 详见“费用与节省”。",
    ),
    figure("site", 'integral("battery_value_per_h", 1h)'),
    unit=look.MONEY,
    colour=look.BATTERY,
    decimals=2,
)

SOC = graph(
    Text("$asset: state of charge · 荷电状态", "As the BMS says. 由 BMS 报告。"),
    trend("asset", {"State of charge · 荷电状态": "soc"}, where=IT),
    unit=look.SHARE,
    styles=(Style("State of charge · 荷电状态", look.BATTERY, fill=20),),
    low=0.0,
    high=1.0,
)

POWER = graph(
    Text(
        "$asset: power within what the BMS permits · 功率与 BMS 限值",
        "Charging is positive. A limit at zero: the BMS forbids it now. 充电为正；限值为零表示 BMS 当前禁止。",
    ),
    trend(
        "asset",
        {
            "Power · 功率": "power_kw",
            "Setpoint · 设定": "setpoint_kw",
            "Charge limit · 充电限值": "max_charge_kw",
            "Discharge limit · 放电限值": '0 - mean("max_discharge_kw")',
        },
        where=IT,
    ),
    unit=look.KW,
    styles=(
        Style("Power · 功率", look.BATTERY, fill=15),
        Style("Setpoint · 设定", look.PLAN, is_step=True),
        Style("Charge limit · 充电限值", look.LIMIT, is_dashed=True),
        Style("Discharge limit · 放电限值", look.LIMIT, is_dashed=True),
    ),
)

SUPPORT = graph(
    Text(
        "Support for the grid limit · 对电网限值的支援",
        "Discharge asked of the batteries at once, so that the grid stays below what is allowed. 为使电网不超过允许值而即时要求的放电。",
    ),
    trend("site", {"Support · 支援": "support_kw", "Grid · 电网": "grid_kw", "Allowed · 允许": "allowed_kw"}),
    unit=look.KW,
    styles=(
        Style("Support · 支援", look.BATTERY, fill=20),
        Style("Grid · 电网", look.GRID),
        Style("Allowed · 允许", look.ALLOWED, is_dashed=True),
    ),
)

PAGE = Page(
    "heliodock-battery",
    "7 Battery · 电池",
    "How full, how hard does it work, what does its BMS permit?",
    (
        across(4, (6, SOC_NOW), (6, CHARGED), (6, DISCHARGED), (6, VALUE)),
        across(9, (24, SOC)),
        across(9, (14, POWER), (10, SUPPORT)),
    ),
    begins="now-24h",
    assets=BATTERIES,
)
