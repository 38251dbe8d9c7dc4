"""Site files: the two that come with heliodock, and every way to get one wrong."""

import re
from pathlib import Path

import pytest

from configs.load import CONFIGS, LoadedSite, fallback_problems, load_site
from configs.profiles import DEVICES
from station.assets import ConnectorKind
from station.errors import ConfigError
from station.limits import Direction
from station.quantities import Phase

DEMO = CONFIGS / "stations" / "demo.yaml"
MONTHS = CONFIGS / "stations" / "months.yaml"
INVERTER = (
    "  - {id: inverter, profile: demo-pv, host: 127.0.0.1, port: 15021, unit: 1, assets: [pv], poll_s: 1}\n"
)


def changed(folder: Path, *changes: tuple[str, str]) -> Path:
    text = DEMO.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / "site.yaml"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def demo() -> LoadedSite:
    return load_site(DEMO)


def test_the_demo_station_may_start(demo: LoadedSite) -> None:
    assert fallback_problems(demo.site) == []
    assert demo.site.continuous_kw(Direction.IMPORT) == 120.0
    assert len(demo.site.connectors) == 10
    assert demo.twin.sessions is not None
    assert demo.twin.sessions.is_file()
    assert demo.twin.series is not None
    assert demo.twin.series.is_file()


def test_the_demo_station_has_twelve_devices_that_serve_all_assets_once(demo: LoadedSite) -> None:
    served = [asset_id for device in demo.devices for asset_id in device.asset_ids]
    assert len(demo.devices) == 12
    assert sorted(served) == sorted(["grid", *demo.site.by_id])
    assert {device.profile.profile_id for device in demo.devices} <= {
        file.stem for file in DEVICES.glob("*.yaml")
    }


def test_the_carbon_of_the_grid_is_known_only_where_the_site_says_it(
    tmp_path: Path, demo: LoadedSite
) -> None:
    assert demo.site.grid_kg_co2_per_kwh is None
    said = changed(tmp_path, ("  # grid_kg_co2_per_kwh: 0.2 ", "  grid_kg_co2_per_kwh: 0.2 "))
    assert load_site(said).site.grid_kg_co2_per_kwh == 0.2


def test_amperes_become_kilowatts_by_phases_and_voltage(demo: LoadedSite) -> None:
    factors = {key: value for device in demo.devices for key, value in device.kw_per_a.items()}
    assert factors["ac1"] == pytest.approx(0.23)
    assert factors["ac7"] == pytest.approx(0.69)
    assert "battery" not in factors


def test_the_demo_file_teaches() -> None:
    comments = re.findall(r"^\s*#", DEMO.read_text(), re.MULTILINE)
    assert len(comments) >= 20


def test_the_month_station_repeats_one_connector_over_the_phases() -> None:
    loaded = load_site(MONTHS)
    connectors = loaded.site.connectors
    assert [c.asset_id for c in connectors][::51] == ["ev01", "ev52"]
    assert [c.phases for c in connectors[:4]] == [(Phase.L1,), (Phase.L2,), (Phase.L3,), (Phase.L1,)]
    assert all(c.kind is ConnectorKind.AC and c.max_kw == 6.656 for c in connectors)
    assert loaded.devices == ()
    assert (loaded.twin.load_factor, loaded.twin.pv_factor) == (1.6667, 1.5)
    assert fallback_problems(loaded.site) == []


def test_a_copy_elsewhere_still_finds_the_data(tmp_path: Path) -> None:
    assert load_site(changed(tmp_path)).twin.sessions == CONFIGS / "data" / "demo_sessions.csv"


@pytest.mark.parametrize(
    ("old", "new", "key", "problem"),
    [
        ("id: demo", "id: a b", "site.id", "letters"),
        ("America/Los_Angeles ", "Los_Angeles ", "site.timezone", "unknown timezone"),
        ("latitude: 34.2013", "latitude: 134", "site.latitude", "at most 90"),
        ("tariff: sce-tou-ev-4-2019", "tariff: sce-tou-ev-4", "tariff", "did you mean 'sce-tou-ev-4-2019'"),
        ("tariff: sce-tou-ev-4-2019", "tariff: my.yaml", "tariff", "no such file"),
        ("slot_s: 900", "slot_s: 1800", "planning.slot_s", "demand window"),
        ("stale_s: 3 ", "stale_s: 1.5 ", "control.stale_s", "two cycles"),
        ("lease_s: 10 ", "lease_s: 1 ", "assets.batteries[0].lease_s", "two cycles"),
        ("min_kw: 8", "min_kw: 80", "assets.base_load.min_kw", "above max_kw"),
        ("soc_min: 0.1", "soc_min: 10", "assets.batteries[0].soc_min", "at most 1"),
        ("soc_min: 0.1", "soc_min: 0.9", "assets.batteries[0].soc_min", "not below soc_max"),
        (
            "capacity_kwh: 200",
            "capacity_wh: 200000",
            "assets.batteries[0].capacity_wh",
            "did you mean 'capacity_kwh'",
        ),
        ("fallback_kw: 0 ", "fallback_kw: -200 ", "assets.batteries[0].fallback_kw", "must be from -100"),
        (
            "fallback_kw: -100",
            "fallback_kw: 100",
            "assets.pv_plants[0].fallback_kw",
            "generation is negative",
        ),
        ("phases: L1,", "phases: L4,", "assets.connectors[0].phases", "'L4'"),
        ("phases: L1,", "phases: L1 L1,", "assets.connectors[0].phases", "'L1 L1'"),
        ("phases: L1,", "phases: rotate,", "assets.connectors[0].phases", "repeated"),
        ("kind: ac", "kind: acc", "assets.connectors[0].kind", "one of ac, dc"),
        ("{id: ac1,", "{id: 'ac{}',", "assets.connectors[0].id", "go together"),
        ("id: ac2,", "id: ac1,", "assets.connectors[1].id", "another asset"),
        ("min_kw: 1.38", "min_kw: 0.5", "assets.connectors[0].min_kw", "6 A on L1"),
        ("min_kw: 1.38", "min_kw: 8", "assets.connectors[0].min_kw", "above max_kw"),
        ("fallback_kw: 1.38", "fallback_kw: 0.5", "assets.connectors[0].fallback_kw", "0 or from min_kw"),
        ("pv, battery, dc1a", "pv, batery, dc1a", "limits[0].members[2]", "did you mean 'battery'"),
        ("pv, battery, dc1a", "pv, dc1a", "assets.batteries[0].id", "member of no node"),
        ("[building, pv", "[grid, building, pv", "limits[0].members[0]", "grid meter"),
        ('["ac*"]', '["ac*", dc1a]', "limits[1].members[1]", "hangs on node 'pcc' already"),
        ("parent: pcc", "parent: pc", "limits[1].parent", "did you mean 'pcc'"),
        ("    parent: pcc\n", "", "limits[1].id", "second root"),
        ("parent: pcc", "parent: ac_feeder", "limits[1].parent", "circle"),
        ("- id: pcc\n", "- id: pcc\n    parent: ac_feeder\n", "limits[0].parent", "circle"),
        ("id: ac_feeder", "id: pcc", "limits[1].id", "another node"),
        (
            "short_time_kw: 156",
            "short_time_kw: 100",
            "limits[0].import.hard.short_time_kw",
            "below continuous_kw",
        ),
        (", short_time_s: 60", "", "limits[0].import.hard", "go together"),
        (
            "  - id: pcc\n",
            "  - id: pcc\n    current: {continuous_a: 175, source: x}\n",
            "limits[0].current",
            "phases",
        ),
        ("profile: demo-pv", "profile: demo-vp", "devices[1].profile", "did you mean 'demo-pv'"),
        ("profile: demo-pv", "profile: demo-battery", "devices[1].assets[0]", "serves a battery"),
        ("assets: [pv]", "assets: [grid]", "devices[1].assets[0]", "served by device 'meter' already"),
        ("assets: [pv]", "assets: [building]", "devices[1].assets[0]", "no device"),
        ("assets: [pv]", "assets: []", "devices[1].assets", "must not be empty"),
        (INVERTER, "", "assets.pv_plants[0].id", "no device serves 'pv'"),
        ("id: inverter", "id: meter", "devices[1].id", "another device"),
        ("port: 15021", "port: 150210", "devices[1].port", "at most 65535"),
        ("port: 15021", "port: '15021'", "devices[1].port", "a whole number"),
        ("poll_s: 1}", "poll_s: 5}", "devices[0].poll_s", "stale_s"),
        ("from: 2019-09-16", "from: 2019-13-16", "twin.from", "a date is expected"),
        ("days: 14", "days: 0", "twin.days", "at least 1"),
        ("twin:", "twn:", "twn", "did you mean 'twin'"),
    ],
)
def test_a_wrong_site_names_the_key(tmp_path: Path, old: str, new: str, key: str, problem: str) -> None:
    file = changed(tmp_path, (old, new))
    with pytest.raises(ConfigError) as caught:
        load_site(file)
    error = caught.value
    assert (error.file, error.key) == (str(file), key)
    assert problem in error.problem
    assert key.rpartition(".")[2].partition("[")[0] in file.read_text().splitlines()[error.line - 1]


def test_a_dc_charger_must_declare_its_losses(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"connectors\[8\].efficiency: is missing"):
        load_site(changed(tmp_path, (", efficiency: 0.95", "")))


def test_two_connectors_need_a_profile_that_serves_two(tmp_path: Path) -> None:
    second = INVERTER.replace("inverter", "charger2").replace("demo-pv", "demo-ac-charger")
    second = second.replace("15021", "15024").replace("[pv]", "[ac2]")
    file = changed(tmp_path, (second, ""), ("assets: [ac1]", "assets: [ac1, ac2]"))
    with pytest.raises(ConfigError, match="serves one asset"):
        load_site(file)


def test_fallbacks_that_break_a_limit_do_not_raise_but_are_named(tmp_path: Path) -> None:
    loaded = load_site(
        changed(tmp_path, ("continuous_a: 100", "continuous_a: 20"), ("max_kw: 60,", "max_kw: 110,"))
    )
    problems = fallback_problems(loaded.site)
    assert len(problems) == 4
    assert any("pcc" in text and "dc1a" in text for text in problems)
    assert any("ac_feeder" in text and "L2" in text and "ac8" in text for text in problems)


def test_a_tariff_and_a_profile_may_lie_beside_the_site(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text((CONFIGS / "tariffs" / "sce-tou-ev-4-2019.yaml").read_text())
    (tmp_path / "my-pv.yaml").write_text((DEVICES / "demo-pv.yaml").read_text().replace("demo-pv", "my-pv"))
    file = changed(
        tmp_path,
        ("tariff: sce-tou-ev-4-2019", "tariff: mine.yaml"),
        ("profile: demo-pv", "profile: my-pv.yaml"),
    )
    assert load_site(file).devices[1].profile.profile_id == "my-pv"
