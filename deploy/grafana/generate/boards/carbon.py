"""Carbon: what was imported, and how much of the station's energy came from its own roof."""

from deploy.grafana.generate import look
from deploy.grafana.generate.influxql import Query, energy, figure, positive, trend
from deploy.grafana.generate.look import Style
from deploy.grafana.generate.page import Page, across
from deploy.grafana.generate.panels import Text, graph, stat

UNDECLARED = "no intensity declared · 未设定排放强度"

EMITTED = stat(
    Text(
        "CO₂ of the import · 购电碳排放",
        "Integral of import × the intensity that the site file declares (`grid_kg_co2_per_kwh`), in the time range. Export is not "
        "credited. 购电量×站点设定的排放强度；上网不抵扣。",
    ),
    figure("site", 'integral("kg_co2_per_h", 1h)'),
    unit=look.KG,
    colour=look.GRID,
    no_value=UNDECLARED,
)
IMPORTED = stat(
    Text("Imported · 购电量", "From the grid, in the time range. 所选时间内。"),
    Query(energy("site", positive("grid_kw")), alias="$col"),
    unit=look.KWH,
    colour=look.GRID,
)
EXPORTED = stat(
    Text("Exported · 上网电量", "To the grid, in the time range. 所选时间内。"),
    Query(energy("site", positive("grid_kw", "-")), alias="$col"),
    unit=look.KWH,
    colour=look.BUILDING,
)
GENERATED = stat(
    Text("PV generated · 光伏发电量", "In the time range. 所选时间内。"),
    figure("site", 'integral("pv_kw", 1h)'),
    unit=look.KWH,
    colour=look.PV,
)
INTENSITY = stat(
    Text(
        "Intensity of the grid · 电网排放强度",
        "Mean over the time range, weighted by import: CO₂ of the import / imported energy. 按购电量加权的平均值。",
    ),
    Query(
        'SELECT integral("kg", 1h) / integral("kw", 1h) AS "kg_per_kwh" FROM '
        '(SELECT "kg_co2_per_h" AS "kg", (abs("grid_kw") + "grid_kw") / 2 AS "kw" FROM "site" '
        "WHERE \"site\" = '$site' AND $timeFilter)",
        alias="$col",
    ),
    unit=look.KG_PER_KWH,
    colour=look.CALM,
    decimals=3,
    no_value=UNDECLARED,
)

RATE = graph(
    Text("CO₂ per hour · 每小时碳排放", "Import × intensity. 购电功率×排放强度。"),
    trend("site", {"CO₂": "kg_co2_per_h"}),
    unit=look.KG_PER_H,
    styles=(Style("CO₂", look.GRID, fill=20),),
    low=0.0,
)

SOURCES = graph(
    Text(
        "Where energy came from · 电能来源",
        "PV is shown positive; grid below zero is export. 光伏为正；电网为负表示上网。",
    ),
    trend("site", {"PV · 光伏": "pv_kw", "Grid · 电网": "grid_kw"}),
    unit=look.KW,
    styles=(Style("PV · 光伏", look.PV, fill=20), Style("Grid · 电网", look.GRID, fill=10)),
)

PAGE = Page(
    "heliodock-carbon",
    "8 Carbon · 碳排放",
    "What was imported, and how much came from the station's own roof?",
    (
        across(4, (5, EMITTED), (5, INTENSITY), (5, IMPORTED), (5, GENERATED), (4, EXPORTED)),
        across(10, (12, RATE), (12, SOURCES)),
    ),
    begins="now-24h",
)
