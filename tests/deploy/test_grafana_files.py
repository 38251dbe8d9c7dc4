"""Grafana's files: generated, whole, and true to the rules of the house. They were never opened in Grafana."""

import itertools
import json
import re
from collections import defaultdict
from typing import Any

import pytest
from ruamel.yaml import YAML

from deploy.grafana.generate import look
from deploy.grafana.generate.alerts import DATASOURCE, RULES
from deploy.grafana.generate.files import HOME, made
from deploy.grafana.generate.files import RULES as RULES_FILE
from deploy.grafana.generate.influxql import SHOWN, SOURCE

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((HOME / "dashboards").glob("*.json"))}
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"]]
TABLES_HAVE = {"Time", "asset"}
FLOWS = {"PV", "Grid", "Battery", "Cars", "Building", "Limit", "Allowed"}

every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
every_panel = pytest.mark.parametrize(
    "panel", [panel for _, panel in PANELS], ids=[f"{uid}-{panel['id']}" for uid, panel in PANELS]
)


def read_yaml(path: str) -> Any:
    return YAML(typ="safe").load((HOME / path).read_text())


def is_in_both_languages(text: str) -> bool:
    return bool(re.search(r"[A-Za-z]", text) and re.search(r"[\u4e00-\u9fff]", text))


@pytest.mark.parametrize("path", made())
def test_a_committed_file_is_what_the_generator_makes(path: str) -> None:
    assert (HOME / path).read_text(encoding="utf-8") == made()[path], "run python -m deploy.grafana.generate"


def test_every_dashboard_is_generated() -> None:
    assert {f"dashboards/{uid}.json" for uid in BOARDS} | {RULES_FILE} == set(made())


@every_board
def test_a_dashboard_opens_in_the_readers_zone_and_refreshes_itself(board: dict[str, Any]) -> None:
    assert (board["timezone"], board["schemaVersion"]) == ("browser", 36)
    assert board["refresh"] in ("5s", "10s")
    assert is_in_both_languages(board["title"])
    assert len(board["uid"]) <= 40


@every_board
def test_panels_have_their_own_ids_and_do_not_overlap(board: dict[str, Any]) -> None:
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][key] for key in "xywh")
        cells = set(itertools.product(range(x, x + w), range(y, y + h)))
        assert x + w <= 24
        assert not cells & taken
        taken |= cells
    bottom = max(y for _, y in taken) + 1
    assert len(taken) == 24 * bottom, "a hole"


@every_board
def test_variables_are_the_data_source_the_site_and_perhaps_an_asset(board: dict[str, Any]) -> None:
    source, *choices = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "influxdb")
    assert [choice["name"] for choice in choices] in (["site"], ["site", "asset"])
    for choice in choices:
        assert choice["datasource"] == SOURCE
        assert choice["query"].startswith("SHOW TAG VALUES FROM")
        assert is_in_both_languages(choice["label"])
        assert not choice["multi"]  # queries compare with =


@every_panel
def test_a_panel_has_words_a_unit_and_the_chosen_source(panel: dict[str, Any]) -> None:
    assert is_in_both_languages(panel["title"])
    assert is_in_both_languages(panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == SOURCE
    assert panel["targets"]


@every_panel
def test_every_query_is_of_one_site_and_of_the_time_range(panel: dict[str, Any]) -> None:
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEFGH"[: len(panel["targets"])])
    for target in panel["targets"]:
        assert target["datasource"] == SOURCE
        assert target["rawQuery"] is True
        assert target["query"].count(SHOWN) == 1
        assert target["query"].count(" FROM ") == 1 + target["query"].count("FROM (")


@every_panel
def test_a_table_groups_by_one_tag_at_most(panel: dict[str, Any]) -> None:
    """With two, Grafana's table mixes up their columns (influxql/converter walks an unordered map)."""
    for target in panel["targets"]:
        tags = target["query"].partition(" GROUP BY ")[2].count('"') // 2
        assert tags <= 1


@every_panel
def test_what_is_styled_is_a_column_of_the_panel(panel: dict[str, Any]) -> None:
    shown = TABLES_HAVE | {name for t in panel["targets"] for name in re.findall(r'AS "([^"]+)"', t["query"])}
    styled = [override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]]
    assert set(styled) <= shown
    assert len(styled) == len(set(styled))


@every_panel
def test_every_curve_has_a_colour_that_was_chosen(panel: dict[str, Any]) -> None:
    if panel["type"] != "timeseries" or "color" in panel["fieldConfig"]["defaults"]:
        return
    shown = {name for target in panel["targets"] for name in re.findall(r'AS "([^"]+)"', target["query"])}
    coloured = {
        override["matcher"]["options"]
        for override in panel["fieldConfig"]["overrides"]
        if any(entry["id"] == "color" for entry in override["properties"])
    }
    assert coloured == shown


def test_a_flow_has_the_same_colour_everywhere() -> None:
    colours = defaultdict(set)
    for _, panel in PANELS:
        for override in panel["fieldConfig"]["overrides"]:
            flow = override["matcher"]["options"].split(" · ")[0]
            for entry in override["properties"]:
                if entry["id"] == "color" and flow in FLOWS:
                    colours[flow].add(entry["value"]["fixedColor"])
    assert colours == {flow: {getattr(look, flow.upper())} for flow in FLOWS}


@every_board
def test_links_lead_to_dashboards_that_have_their_variables(board: dict[str, Any]) -> None:
    (link,) = board["links"]
    assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
    assert all(set(link["tags"]) <= set(other["tags"]) for other in BOARDS.values())
    for uid, names in re.findall(r'"/d/([\w-]+)\?([^"]*)"', json.dumps(board)):
        variables = {variable["name"] for variable in BOARDS[uid]["templating"]["list"]}
        assert set(re.findall(r"var-(\w+)=", names)) <= variables


def test_the_live_dashboard_leads_from_a_connector_to_its_decisions() -> None:
    assert "/d/heliodock-decisions?${__url_time_range}&var-site=${site}&var-asset=" in json.dumps(
        BOARDS["heliodock-live"]
    )


def test_the_rules_are_whole_and_name_the_provisioned_source() -> None:
    (group,) = read_yaml(RULES_FILE)["groups"]
    assert [rule["uid"] for rule in group["rules"]] == [rule.uid for rule in RULES]
    assert len({rule.uid for rule in RULES}) == len(RULES)
    for rule in group["rules"]:
        query, reduced, condition = rule["data"]
        assert query["datasourceUid"] == DATASOURCE
        assert "$timeFilter" in query["model"]["query"]
        assert '"site"' in query["model"]["query"].rpartition("GROUP BY")[2]
        assert reduced["model"]["expression"] == query["refId"]
        assert condition["model"]["expression"] == reduced["refId"]
        assert rule["condition"] == condition["refId"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert rule["annotations"]["dashboard"].removeprefix("/d/") in BOARDS
        assert is_in_both_languages(rule["title"])
        assert is_in_both_languages(rule["annotations"]["summary"])


def test_grafana_leaves_the_rules_dollars_alone() -> None:
    """It expands ``$`` in labels and ``${`` in annotations of a provisioned rule, but nothing in a query's model."""
    for rule in read_yaml(RULES_FILE)["groups"][0]["rules"]:
        assert not any("$" in text for text in rule["labels"].values())
        assert not any("${" in text for text in rule["annotations"].values())


def test_the_data_source_is_the_one_that_dashboards_and_rules_name_and_holds_no_secret() -> None:
    (source,) = read_yaml("provisioning/datasources/heliodock.yaml")["datasources"]
    assert (source["uid"], source["type"]) == (DATASOURCE, SOURCE["type"])
    assert all(re.fullmatch(r"\$__(file|env)\{[^}]+\}", text) for text in source["secureJsonData"].values())
    for board in BOARDS.values():
        assert board["templating"]["list"][0]["current"] == {"text": source["name"], "value": source["uid"]}


def test_dashboards_are_loaded_from_where_compose_mounts_them() -> None:
    (provider,) = read_yaml("provisioning/dashboards/heliodock.yaml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert provider["allowUiUpdates"] is False
