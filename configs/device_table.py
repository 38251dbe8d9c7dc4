"""The table of docs/devices.md: ``python -m configs.device_table`` writes it anew from the profiles."""

from pathlib import Path

from configs.profiles import load_profile, profile_ids
from station.profile import Profile

FILE = Path(__file__).parents[1] / "docs" / "devices.md"
BEGIN, END = "<!-- made by python -m configs.device_table -->\n", "<!-- end -->\n"


def table() -> str:
    """Return the table as Markdown."""
    head = "| profile | device | kind | told | limit | by itself | source |\n" + "| --- " * 7 + "|\n"
    profiles = (load_profile(name) for name in profile_ids() if not name.startswith("demo-"))
    return head + "".join(f"| {' | '.join(_row(profile))} |\n" for profile in profiles)


def document(text: str) -> str:
    """Return the page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def _row(profile: Profile) -> tuple[str, ...]:
    told = [name for name in profile.points if name not in profile.auxiliary and name != "setpoint_kw"]
    carriers = [profile.points[name] for name in profile.carriers]
    unit = carriers[0].unit if carriers else ""
    return (
        f"`{profile.profile_id}`",
        profile.title or "any SunSpec device",
        profile.kind,
        ", ".join(told),
        f"yes, in {unit}" if carriers else "no: read only" if profile.kind != "meter" else "",
        profile.watchdog.kind
        if profile.watchdog
        else ""
        if profile.kind == "meter"
        else "booked at its rating",
        "; ".join(profile.sources) or "SunSpec",
    )


if __name__ == "__main__":
    FILE.write_text(document(FILE.read_text(encoding="utf-8")), encoding="utf-8")
