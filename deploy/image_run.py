"""Runs an unpacked image as an engine would; a part of image_test.sh, inside namespaces of its own.

usage: image_run.py ROOT IMAGE.json SITE.yaml SECRETS
Three runs, each as the image's user on a read-only root of which only /data and /tmp can be written: a few programs
that must work inside; the image as it starts by itself; the services `emulator` and `heliodock` of the compose file.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HEALTHY_S, STOPPED_S = 120.0, 30.0
WRITABLE = ("/data", "/tmp")

INSIDE = {
    "PuLP's CBC and HiGHS solve": """
import highspy, pulp, warnings; warnings.simplefilter("ignore")
for solver in (pulp.PULP_CBC_CMD(msg=0), pulp.HiGHS(msg=False)):
    x, problem = pulp.LpVariable("x", lowBound=1, cat="Integer"), pulp.LpProblem("p")
    problem += x; problem += 2 * x >= 3
    assert pulp.LpStatus[problem.solve(solver)] == "Optimal" and x.value() == 2, solver
""",
    "matplotlib draws": "import matplotlib.pyplot as p; p.plot([1, 2]); p.title('kW'); p.savefig('/tmp/a.png')",
    "nothing else can be written": """
import os
for place in ("/", "/etc/heliodock", "/opt/heliodock", "/usr/local", "/var"):
    try: open(os.path.join(place, "x"), "w")
    except OSError: continue
    raise SystemExit(f"{place} can be written")
""",
}


class Image:
    """The unpacked image and how its configuration wants it to be run."""

    def __init__(self, root: str, inspected: str) -> None:
        config = json.loads(Path(inspected).read_text(encoding="utf-8"))["Docker"]["config"]
        self.root = root
        self.uid, self.gid = (int(part) for part in config["User"].split(":"))
        self.entrypoint, self.command = config["Entrypoint"], config["Cmd"]
        self.health = config["Healthcheck"]["Test"][1:]
        self._directory = config["WorkingDir"]
        self._environment = dict(entry.split("=", 1) for entry in config["Env"])
        if self.uid == 0:
            sys.exit("== FAILED: the image runs as root")

    def start(self, argv: Sequence[str], output: int | None = None) -> "subprocess.Popen[bytes]":
        """Start a program inside, found on the image's own PATH."""
        command = ["/usr/bin/env", *argv]
        return subprocess.Popen(
            command, env=self._environment, stdout=output, stderr=output, preexec_fn=self._enter
        )

    def does(self, argv: Sequence[str], output: int | None = None) -> bool:
        """Return whether a program inside ends well within 15 seconds."""
        process = self.start(argv, output)
        try:
            return process.wait(15.0) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False

    def _enter(self) -> None:
        os.chroot(self.root)
        os.chdir(self._directory)
        os.setgroups([])
        os.setgid(self.gid)
        os.setuid(self.uid)


def mount(*words: str) -> None:
    """Mount, or end with mount's own words."""
    subprocess.run(["mount", *words], check=True)


def seal(image: Image, site: str, secrets: str) -> None:
    """Make the root read-only, with fresh writable places, and the mounts of the compose file."""
    root = image.root
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    hosts = Path(root, "etc/hosts")
    hosts.write_text("127.0.0.1 localhost emulator influxdb mosquitto\n", encoding="utf-8")
    Path(root, "etc/heliodock/station.yaml").touch()
    Path(root, "run/secrets").mkdir(exist_ok=True)
    mount("--bind", root, root)
    mount("-o", "remount,ro,bind", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--bind", "/dev", f"{root}/dev")  # not recursive: there is no /dev/shm, and none must be needed
    mount("--bind", site, f"{root}/etc/heliodock/station.yaml")
    mount("--bind", secrets, f"{root}/run/secrets")
    os.chmod(secrets, 0o755)  # compose mounts each file by itself; only the owners of the files decide
    for place in WRITABLE:
        mount("-t", "tmpfs", "-o", f"mode=0755,uid={image.uid},gid={image.gid}", "tmpfs", root + place)


def live(image: Image, commands: Sequence[Sequence[str]], health: Sequence[str]) -> None:
    """Start the commands, wait until the last one is healthy, end them in reverse; end all where something is amiss."""
    processes = [image.start([*image.entrypoint, *command]) for command in commands]
    began_s = time.monotonic()
    while not image.does(health, subprocess.DEVNULL):
        if time.monotonic() - began_s > HEALTHY_S or any(p.poll() is not None for p in processes):
            sys.exit("== FAILED: not healthy")
        time.sleep(0.5)
    print(f"healthy after {time.monotonic() - began_s:.1f} s", flush=True)
    for process, command in zip(reversed(processes), reversed(commands), strict=True):
        began_s = time.monotonic()
        process.terminate()
        status = process.wait(STOPPED_S)
        print(f"{command[0]}: SIGTERM, status {status} after {time.monotonic() - began_s:.1f} s", flush=True)
        if status:
            sys.exit("== FAILED: SIGTERM must end it with status 0")


def main() -> None:
    """Play the three runs."""
    root, inspected, site, secrets = sys.argv[1:]
    image = Image(root, inspected)
    seal(image, site, secrets)
    for what, program in INSIDE.items():
        print(what, flush=True)
        if not image.does(["python", "-c", program]):
            sys.exit(f"== FAILED: {what}")
    print(f"as it is: {' '.join(image.command)}", flush=True)
    live(image, [image.command], image.health)
    station = "/etc/heliodock/station.yaml"
    print("the two services of the compose file", flush=True)
    live(
        image,
        [["serve", station], ["run", station, "--store", "/data/pair", "--no-live"]],
        ["heliodock", "health", station, "--store", "/data/pair"],
    )


if __name__ == "__main__":
    main()
