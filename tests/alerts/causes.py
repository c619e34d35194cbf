"""What is made to happen, so that alerts fire."""

import os
import re
import subprocess
from pathlib import Path

from stand import ROOT, eventually, without_settings

FIRES_WITHIN_S = 60
WEBHOOK = [
    "billing.webhook_url=http://127.0.0.1:9/nobody",
    "billing.webhook_secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
]


def followed(page, names, environment):
    """What the commands of a runbook print, with its names replaced by those that are here."""
    text = (ROOT / "docs/runbooks" / page).read_text(encoding="utf-8")
    said = []
    for command in re.findall(r"^\$ (.*)$", text, flags=re.MULTILINE):
        here = command
        for name, real in names.items():
            here = here.replace(name, real)
        done = subprocess.run(
            ["bash", "-c", here], env=environment, capture_output=True, text=True, check=False
        )
        said.append(done.stdout + done.stderr)
        print(f"  $ {command}\n    {said[-1].strip().splitlines()[-1] if said[-1].strip() else '(nothing)'}")
    return "\n".join(said)


def check_causes(demo, prometheus, binary):
    """What is made to happen is told, and its runbook finds it."""
    names = {
        "edge|ingest|downsampler|queries": "serve",
        "/etc/flagmeter/registry.toml": str(demo.data / "registry.toml"),
        "http://the-process:9464": f"http://{demo.metrics}",
    }
    environment = without_settings()
    environment |= {
        "FLAGMETER_DATA_PATH": str(demo.data),
        "PATH": f"{Path(binary).resolve().parent}:{os.environ['PATH']}",
    }

    def fires(name, page, *finds):
        eventually(f"{name} fires", FIRES_WITHIN_S, lambda: prometheus.alerts().get(name) == "firing")
        print(f"{name}: fires")
        said = followed(page, names, environment)
        if missing := [find for find in finds if find not in said]:
            raise SystemExit(f"{page} does not show {missing}: it shows\n{said}")

    registry = demo.data / "registry.toml"
    good = registry.read_text(encoding="utf-8")
    registry.write_text("nonsense", encoding="utf-8")
    fires("FlagmeterRegistryRefused", "registry-refused.md", "line 1")
    registry.write_text(good, encoding="utf-8")
    eventually("it is over", FIRES_WITHIN_S, lambda: "FlagmeterRegistryRefused" not in prometheus.alerts())
    demo.kill()
    fires("FlagmeterProcessDown", "process-down.md", "no process answers")
