# ruff: noqa: INP001
"""Makes the pictures of the documentation: ``python docs/pictures/make.py`` from the root, in about ten minutes.

``demo.svg`` is the live view in the afternoon of the demonstration's day, as it is drawn on a terminal; ``day.png`` is
the whole of that day.
"""

import asyncio
import re
import sys
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from time import monotonic  # noqa: TID251  how fast it really went
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # a script finds only its own folder

from rich.console import Console  # noqa: E402
from rich.terminal_theme import MONOKAI  # noqa: E402

from cli.live import render  # noqa: E402
from cli.logs import log_to  # noqa: E402
from cli.twin_input import TwinWords, twin_run  # noqa: E402
from cli.view import ViewState, Watch  # noqa: E402
from configs.load import LoadedSite, load_site  # noqa: E402
from controller.loop import Cycle  # noqa: E402
from hil.account import Account  # noqa: E402
from hil.demo import DemoSettings, cycle_s, on_free_ports, play  # noqa: E402
from hil.report.twin import figure_png  # noqa: E402
from hil.run import TwinRun  # noqa: E402

HERE = Path(__file__).parent
SPEED = 240.0
DAY = datetime(2019, 9, 18)  # noqa: DTZ001  local; the site's zone is added below
SHOWN_AT = "16:10"
WIDTH, HEIGHT = 92, 30


async def played(loaded: LoadedSite, run: TwinRun) -> tuple[Account, ViewState]:
    """Play the whole day; return its account and what the view showed at ``SHOWN_AT``."""
    watch = Watch(loaded.site, SPEED)
    kept: list[ViewState] = []
    began_s = monotonic()

    def see(cycle: Cycle) -> None:
        watch(cycle)
        state = watch.state()
        if not kept and state.at is not None and f"{state.at:%H:%M}" == SHOWN_AT:
            played_s = cycle.snapshot.taken.mono_s
            kept.append(replace(state, pace=played_s / (monotonic() - began_s), done=played_s / 86_400.0))

    log_to(watch.log)
    account, _ = await play(DemoSettings(loaded, run, SPEED, 24.0, see), asyncio.Event())
    return account, kept[0]


def main() -> None:
    """Write both pictures."""
    loaded, _ = on_free_ports(load_site(ROOT / "configs" / "stations" / "demo.yaml"))
    start = DAY.replace(tzinfo=ZoneInfo(loaded.site.timezone))
    run = twin_run(loaded, TwinWords(start.isoformat(), days=1.0, step_s=cycle_s(SPEED)))
    account, state = asyncio.run(played(loaded, run))
    console = Console(record=True, width=WIDTH, height=HEIGHT, file=StringIO(), force_terminal=True)
    console.print(render(state))
    picture = console.export_svg(title="heliodock demo", theme=MONOKAI)
    own = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # fonts are not fetched from anywhere
    (HERE / "demo.svg").write_text(own, encoding="utf-8")
    figure_png(run, account, HERE / "day.png")


if __name__ == "__main__":
    main()
