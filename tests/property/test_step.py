"""The control function against everything that a fault, a person or a wrong optimizer can do. Numbered by invariant."""

from math import isfinite

from hypothesis import given

from controller.envelope import Books, constraints_in_force
from controller.judge import judge
from controller.leases import late_interval, live_interval, settle, still_using
from controller.step import step
from station.assets import Battery, Connector
from station.decision import ControlState, Decision, Setpoint, Withheld
from station.limits import Direction
from station.measurement import Snapshot
from station.topology import Constraint, Site
from tests.property.strategies import Run, run_of, runs


def standing(site: Site, constraint: Constraint, worst: dict[str, tuple[float, float]]) -> float:
    """Return the loss sum of a constraint, computed here anew from each asset's worst (min, max) in kW."""
    is_import = constraint.direction is Direction.IMPORT
    return sum(
        weight * (max(worst[key][1], 0.0) if is_import else max(-worst[key][0], 0.0))
        for key, weight in constraint.weights.items()
    )


def worst_of(site: Site, state: ControlState, snapshot: Snapshot) -> dict[str, tuple[float, float]]:
    """Return each asset's worst case by definition: live grants, fallback, what it is seen to do; local: rating."""
    result = {}
    now_s = snapshot.taken.mono_s
    seen = judge(site, snapshot, snapshot.taken)
    for asset in site.controllables:
        key = asset.asset_id
        reading = seen.reading(key)
        ranges = [
            (g.interval.min_kw, g.interval.max_kw) for g in state.grants.get(key, ()) if g.expires_s > now_s
        ]
        ranges.append((asset.fallback.min_kw, asset.fallback.max_kw))
        if reading is not None:
            ranges.append((reading.power_kw, reading.power_kw))
        if key in snapshot.unarmed or (reading is not None and reading.is_local):
            ranges.append((asset.nameplate.min_kw, asset.nameplate.max_kw))
        result[key] = (min(low for low, _ in ranges), max(high for _, high in ranges))
    return result


@given(runs())
def test_i4_no_setpoint_takes_a_bound_further_beyond_its_worst_case(run: Run) -> None:
    """Every node, both directions: after the writes are out, a worst-case sum fits, or the cycle has not raised it."""
    for before, snapshot, decision in zip(run.before, run.snapshots, run.decisions, strict=True):
        held = worst_of(
            run.site, ControlState(0.0, grants=_live_before(run.site, before, snapshot)), snapshot
        )
        sent = worst_of(run.site, decision.state, snapshot)
        for constraint in run.site.constraints:
            bound = max(constraint.bound, constraint.short_time_bound)
            declared, base_kw = run.site.base_load, decision.balance.base_kw
            helps_kw = max(min(base_kw, declared.max_kw) - declared.growth_kw, declared.min_kw)
            base = constraint.base_weight * (
                base_kw if constraint.direction is Direction.IMPORT else -helps_kw
            )
            new = standing(run.site, constraint, sent) + base
            old = standing(run.site, constraint, held) + base
            assert new <= max(bound, old) + 1e-3, (constraint.name, old, new, bound)


@given(runs())
def test_i4_the_gate_leaves_no_room_that_is_booked_twice(run: Run) -> None:
    """The production books, rebuilt from the state that the cycle left, are within bounds or no worse than before."""
    for state, snapshot, decision in zip(run.before, run.snapshots, run.decisions, strict=True):
        before = _books(run.site, _live_before(run.site, state, snapshot), state, decision, snapshot)
        after = _books(run.site, dict(decision.state.grants), state, decision, snapshot)
        assert set(after.broken()) <= set(before.broken()) | set(_forced(run.site, decision, snapshot))


@given(runs())
def test_i5_every_setpoint_is_finite_and_inside_nameplate_and_fresh_limits(run: Run) -> None:
    for snapshot, decision in zip(run.snapshots, run.decisions, strict=True):
        seen = judge(run.site, snapshot, snapshot.taken)
        for key, entry in decision.setpoints.items():
            if isinstance(entry, Withheld):
                continue
            asset = run.site.by_id[key]
            assert isfinite(entry.power_kw)
            assert asset.nameplate.holds(entry.power_kw)
            battery = seen.batteries.get(key)
            if battery is not None:
                assert -battery.max_discharge_kw - 1e-9 <= entry.power_kw <= battery.max_charge_kw + 1e-9
            connector = seen.connectors.get(key)
            if connector is not None and connector.max_kw is not None:
                assert entry.power_kw <= connector.max_kw + 1e-9


@given(runs())
def test_i6_no_discharge_below_and_no_charge_above_the_window(run: Run) -> None:
    for snapshot, decision in zip(run.snapshots, run.decisions, strict=True):
        seen = judge(run.site, snapshot, snapshot.taken)
        for battery in run.site.batteries:
            entry, reading = decision.setpoints[battery.asset_id], seen.batteries.get(battery.asset_id)
            if isinstance(entry, Withheld) or reading is None:
                continue
            assert not (reading.soc <= battery.soc_min and entry.power_kw < -1e-9)
            assert not (reading.soc >= battery.soc_max and entry.power_kw > 1e-9)


@given(runs())
def test_i8_nothing_is_written_to_a_device_in_local_mode(run: Run) -> None:
    for snapshot, decision in zip(run.snapshots, run.decisions, strict=True):
        seen = judge(run.site, snapshot, snapshot.taken)
        for key, entry in decision.setpoints.items():
            reading = seen.reading(key)
            if reading is not None and reading.is_local:
                assert isinstance(entry, Withheld)


@given(runs())
def test_i10_a_connector_is_offered_nothing_or_its_minimum(run: Run) -> None:
    for decision in run.decisions:
        for connector in run.site.connectors:
            entry = decision.setpoints[connector.asset_id]
            if isinstance(entry, Setpoint):
                assert entry.power_kw == 0.0 or entry.power_kw >= connector.min_kw - 1e-9


@given(runs())
def test_i12_power_rises_no_faster_than_its_ramp(run: Run) -> None:
    for before, snapshot, decision in zip(run.before, run.snapshots, run.decisions, strict=True):
        dt_s = 1.0 if not before.samples else min(snapshot.taken.mono_s - before.samples[-1].mono_s, 2.0)
        held = _live_before(run.site, before, snapshot)
        for asset in run.site.controllables:
            entry, last_kw = decision.setpoints[asset.asset_id], before.setpoints_kw.get(asset.asset_id)
            if isinstance(entry, Withheld) or last_kw is None or not held[asset.asset_id]:
                continue
            if isinstance(asset, Connector):
                assert entry.power_kw <= max(last_kw, asset.min_kw) + asset.ramp_kw_per_s * dt_s + 1e-6
            elif isinstance(asset, Battery) and abs(entry.power_kw) > abs(last_kw):
                assert abs(entry.power_kw - last_kw) <= asset.ramp_kw_per_s * dt_s + 1e-6


@given(runs())
def test_i13_a_lost_meter_means_the_declared_worst_case(run: Run) -> None:
    for snapshot, decision in zip(run.snapshots, run.decisions, strict=True):
        if run.site.meter.asset_id in judge(run.site, snapshot, snapshot.taken).lost:
            assert decision.balance.base_is_worst_case
            assert decision.balance.base_kw == run.site.base_load.max_kw


@given(runs())
def test_i13_an_asset_without_a_reading_gets_its_safe_power(run: Run) -> None:
    for snapshot, decision in zip(run.snapshots, run.decisions, strict=True):
        seen = judge(run.site, snapshot, snapshot.taken)
        for connector in run.site.connectors:
            entry = decision.setpoints[connector.asset_id]
            if connector.asset_id in seen.lost and isinstance(entry, Setpoint):
                assert entry.power_kw <= connector.fallback_kw + 1e-9


@given(runs())
def test_i19_step_is_total_and_complete_with_garbage_plans(run: Run) -> None:
    for decision in run.decisions:
        assert set(decision.setpoints) == set(run.site.by_id)
        assert all(isfinite(v) for v in decision.state.setpoints_kw.values())


@given(runs())
def test_step_is_deterministic(run: Run) -> None:
    assert run_of(run.seed).decisions == run.decisions


@given(runs())
def test_step_changes_no_input(run: Run) -> None:
    for before, snapshot, plan in zip(run.before, run.snapshots, run.plans, strict=True):
        image = repr((before, snapshot, plan))
        step(run.site, before, snapshot, plan, snapshot.taken)
        assert repr((before, snapshot, plan)) == image


def _live_before(site: Site, before: ControlState, snapshot: Snapshot) -> dict[str, tuple]:  # type: ignore[type-arg]
    """Return the grants that counted before this cycle sent anything."""
    return dict(settle(site, before, snapshot, judge(site, snapshot, snapshot.taken), snapshot.taken))


def _books(
    site: Site,
    grants: dict[str, tuple],  # type: ignore[type-arg]
    before: ControlState,
    decision: Decision,
    snapshot: Snapshot,
) -> Books:
    seen = judge(site, snapshot, snapshot.taken)
    live = {
        a.asset_id: still_using(
            a,
            live_interval(a, grants[a.asset_id], snapshot.unarmed, snapshot.taken),
            seen.power_kw(a.asset_id),
        )
        for a in site.controllables
    }
    return Books(
        site,
        constraints_in_force(site, snapshot),
        seen,
        decision.balance.base_kw,
        live,
        unarmed=snapshot.unarmed,
        late={key: late_interval(grants[key], snapshot.taken) for key in seen.lost if key in grants},
        hidden_kw={key: kw for key, kw in before.believed_kw.items() if key in seen.lost},
    )


def _forced(site: Site, decision: Decision, snapshot: Snapshot) -> list[str]:
    """Return the bounds that only the device's own protection breaks: support that the battery can't give any more."""
    seen = judge(site, snapshot, snapshot.taken)
    names = []
    for battery in site.batteries:
        reading = seen.batteries.get(battery.asset_id)
        entry = decision.setpoints[battery.asset_id]
        is_free = (
            reading is None or not isinstance(entry, Setpoint) or abs(entry.power_kw) < abs(reading.power_kw)
        )
        if is_free:
            names += [c.name for c in site.constraints if battery.asset_id in c.weights]
    return names
