"""What a run leaves in its folder, for machines: the resolved scenario, the trace, the verdict, JUnit."""

import csv
import json
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ruamel.yaml import YAML

from configs.load import CONFIGS
from hil.rigs.trace import Sample, Trace
from hil.scenario import RigKind, Scenario
from hil.verdict import Result, Status, Verdict
from hil.verdict_report import report_html

PACKAGES = ("heliodock", "numpy", "scipy", "PuLP", "highspy", "asyncua", "pymodbus")
"""Whose versions may change what a run does."""


def write_folder(verdict: Verdict, folder: Path) -> None:
    """Write all files of a run into ``folder``, which is made where it is not there. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_lock(verdict, folder / "scenario.lock.yaml")
    _write_trace(verdict.trace, folder / "trace.csv")
    text = json.dumps(verdict_data(verdict), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "verdict.json").write_text(f"{text}\n", encoding="utf-8")
    _write_junit(verdict, folder / "junit.xml")
    (folder / "report.html").write_text(report_html(verdict), encoding="utf-8")


def repeat_command(scenario: Scenario, rig: RigKind) -> str:
    """Return the command line that repeats a run."""
    return f"heliodock hil run {scenario.file} --rig {rig} --seed {scenario.model.seed}"


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain data; the keys carry units."""
    model = verdict.scenario.model
    return {
        "scenario": model.id,
        "title": model.title,
        "rig": verdict.rig.value,
        "seed": model.seed,
        "status": verdict.status.value,
        "void_causes": list(verdict.void_causes),
        "covers": list(model.covers),
        "duration_s": model.duration_s,
        "late_ms": round(verdict.trace.late_ms, 3),
        "repeat": repeat_command(verdict.scenario, verdict.rig),
        "faults": [
            {
                "on": log.fault.on,
                "kind": log.fault.kind.value,
                "at_s": log.fault.at_s,
                "for_s": log.fault.for_s,
                "hits": log.hits,
                "first_hit_s": log.first_s,
                "last_hit_s": log.last_s,
            }
            for log in verdict.trace.faults
        ],
        "criteria": [_result_data(result) for result in verdict.results],
    }


def _result_data(result: Result) -> dict[str, Any]:
    return {
        "text": result.text,
        "passed": result.has_passed,
        "value": _rounded(result.value),
        "limit": result.limit,
        "margin": _rounded(result.margin),
        "unit": result.unit,
        "first_breach_s": _rounded(result.breach_s),
        "note": result.note,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _write_lock(verdict: Verdict, file: Path) -> None:
    """Write the scenario with all defaults filled in; it can be run again as it is."""
    scenario = verdict.scenario
    data = scenario.model.model_dump(mode="json", exclude={"lock"}, exclude_none=True)
    site_file = scenario.loaded.file.absolute()
    if not site_file.is_relative_to(CONFIGS.absolute()):
        data["site"] = str(site_file)
    versions = {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}
    data["lock"] = {"rig": verdict.rig.value, "commit": commit(), **versions}
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(data, stream)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """Return the commit that runs, with ``+`` where files differ from it; ``none`` outside a work tree."""
    try:
        head = _git("rev-parse", "HEAD")
        return f"{head}+" if _git("status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.SubprocessError):
        return "none"


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(CONFIGS), *words], capture_output=True, text=True, check=True, timeout=5.0
    )
    return done.stdout.strip()


def _write_trace(trace: Trace, file: Path) -> None:
    """Write a row per control cycle; a limit's columns are its worst true flow since the last row, and its booking."""
    assets = [asset.asset_id for asset in trace.site.controllables]
    limits = [constraint.name.replace(" ", "_") for constraint in trace.site.constraints]
    names = ["mono_s", "grid_kw", "load_kw", "believed_load_kw", "is_worst_case", "soc"]
    names += [f"{asset_id}_kw" for asset_id in assets] + [f"{asset_id}_setpoint_kw" for asset_id in assets]
    names += [f"{name}_flow" for name in limits] + [f"{name}_booked" for name in limits]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*names, "lost", "alarms"])
        for sample, worst in zip(trace.samples, worst_flows(trace), strict=True):
            writer.writerow(_row(sample, worst, assets))


def _row(sample: Sample, worst: tuple[float, ...], assets: list[str]) -> list[object]:
    setpoints = [sample.setpoints_kw[asset_id] for asset_id in assets]
    return [
        f"{sample.mono_s:g}",
        *(f"{value:.3f}" for value in (sample.grid_kw, sample.load_kw, sample.base_kw)),
        int(sample.base_is_worst_case),
        f"{sample.soc:.5f}",
        *(f"{sample.powers_kw[asset_id]:.3f}" for asset_id in assets),
        *("" if value is None else f"{value:.3f}" for value in setpoints),
        *(f"{value:.3f}" for value in (*worst, *sample.booked)),
        " ".join(sorted(sample.lost)),
        "; ".join(sorted(sample.alarms)),
    ]


def worst_flows(trace: Trace) -> list[tuple[float, ...]]:
    """Return for each sample the highest true flow through each limit since the sample before it."""
    rows: list[tuple[float, ...]] = []
    flows = iter(trace.flows)
    flow = next(flows, None)
    last = (0.0,) * len(trace.site.constraints)
    for sample in trace.samples:
        seen = []
        while flow is not None and flow.mono_s + 1e-6 < sample.mono_s:
            seen.append(flow.values)
            flow = next(flows, None)
        last = tuple(max(column) for column in zip(*seen, strict=True)) if seen else last
        rows.append(last)
    return rows


def _write_junit(verdict: Verdict, file: Path) -> None:
    """Write a suite with a case for each criterion; a void run is an error, so that nobody takes it for a pass."""
    model = verdict.scenario.model
    is_void = verdict.status is Status.VOID
    failures = sum(1 for result in verdict.results if not result.has_passed)
    counts = {
        "tests": str(len(verdict.results) + is_void),
        "failures": str(failures),
        "errors": str(int(is_void)),
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"{model.id}-{verdict.rig}", **counts})
    properties = ElementTree.SubElement(suite, "properties")
    pairs = [*(("requirement", covered) for covered in model.covers), ("seed", str(model.seed))]
    pairs += [("rig", verdict.rig.value), ("repeat", repeat_command(verdict.scenario, verdict.rig))]
    for name, value in pairs:
        ElementTree.SubElement(properties, "property", {"name": name, "value": value})
    classname = f"hil.{model.id}.{verdict.rig}"
    for result in verdict.results:
        case = ElementTree.SubElement(suite, "testcase", {"classname": classname, "name": result.text})
        if not result.has_passed:
            ElementTree.SubElement(case, "failure", {"message": failure_words(result)})
    if is_void:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": classname, "name": "the run proves something"}
        )
        ElementTree.SubElement(case, "error", {"message": f"void: {'; '.join(verdict.void_causes)}"})
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def failure_words(result: Result) -> str:
    """Return what was found instead, in one line."""
    found = "nothing" if result.value is None else f"{result.value:.4g} {result.unit}".strip()
    at = "" if result.breach_s is None else f", first at {result.breach_s:g} s"
    note = f" ({result.note})" if result.note else ""
    return f"{found}, limit {result.limit:g} {result.unit}".strip() + at + note
