"""The page of signals can't go stale: it is the table in the code, and that is what a station records."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from configs.load import CONFIGS, load_site
from controller.journal import StoreKeeper
from controller.lateness import Lateness
from controller.loop import Cycle
from northbound import audit, signals
from northbound.reader import StoreReader
from northbound.sinks import SinkWatch
from northbound.store import Store
from station.clock import Instant
from station.decision import Balance, ControlState, Decision
from station.measurement import Snapshot
from tests.architecture.house import ROOT

PAGE = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
NOW = Instant(datetime(2019, 9, 2, 18, tzinfo=UTC), 1000.0)


@pytest.mark.parametrize("name", ["demo", "months"])
def test_what_a_station_records_is_what_the_table_says(tmp_path: Path, name: str) -> None:
    site = load_site(CONFIGS / "stations" / f"{name}.yaml").site
    balance = Balance(None, 60.0, True, 0.0, 0.0, 0.0, 1.0, 116.0)
    decision = Decision({}, ControlState(0.0), balance, (), None)
    store = Store(tmp_path, site.site_id)
    StoreKeeper(site, store, Lateness(), frozenset(), SinkWatch(()))(
        Cycle(Snapshot(NOW, {}), decision, None, (), 0.0)
    )
    assert store.close()
    with StoreReader(tmp_path) as reader:
        assert set(reader.signals()) == set(signals.names_of(site))


def test_the_page_is_made_of_the_table() -> None:
    assert signals.tables() in PAGE


def test_a_signal_s_unit_is_in_its_name() -> None:
    words = {"kW": "_kw", "kWh": "_kwh", "s": "_s", "ms": "_ms"}
    for signal in (*signals.STATION, *signals.ASSETS):
        assert signal.name.endswith(words.get(signal.unit, "")), signal.name
        assert signal.sign
        assert signal.meaning


def test_the_hash_on_the_page_is_the_one_in_the_code() -> None:
    from hashlib import sha256

    text = '{"at":"t","body":{"a":1},"kind":"command","number":7}'
    assert (
        audit.seal(audit.FIRST, 7, "t", "command", audit.canonical({"a": 1}))
        == sha256(bytes(32) + text.encode()).digest()
    )
