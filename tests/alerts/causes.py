"""What is made to happen for real, so that alerts fire.

An hour of the rules is a minute here: every duration in them (`for:`, `[1h]`, `offset`) is divided by SHORTER, and nothing else
of them is changed. What they compare with is as it is: where a rule asks for a lag of half a minute, it takes half a minute.

Each cause has a demo and a Prometheus of its own, and all go on beside each other.
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import compression
from stand import ROOT, Demo, Prometheus, eventually, get, without_settings

SHORTER = 60
UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
FIRES_WITHIN_S = 600
WEBHOOK = [
    "billing.webhook_url=http://127.0.0.1:9/nobody",
    "billing.webhook_secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
]


def shorter(rules):
    """The rules, with every duration divided."""

    def divided(found):
        return f"{int(found['number']) * UNITS_MS[found['unit']] // SHORTER}ms"

    duration = r"(?P<number>\d+)(?P<unit>ms|s|m|h|d)"
    for before, after in [
        (r"(?<=for: )", r"\b"),
        (r"(?<=interval: )", r"\b"),
        (r"(?<=\[)", r"(?=\])"),
        (r"(?<=offset )", r"\b"),
    ]:
        rules = re.sub(before + duration + after, divided, rules)
    return rules


class Stand:
    """A demo, the Prometheus that scrapes it, and what has fired."""

    def __init__(self, name, binary, folder, rules, running):
        """Says what is to be started."""
        self.name = name
        self.binary = binary
        self.folder = folder / name
        self.folder.mkdir()
        self.rules = rules
        self.running = running
        self.prometheus = None
        self.demo = None

    def start(self, *settings, rate=5, clock=None):
        """The demo, until it is ready."""
        self.demo = Demo(self.binary, self.folder, *settings, rate=rate)
        self.running.callback(self.demo.kill)
        return self.demo.start(clock=clock).wait()

    def watch(self, *beside, scrape="1s"):
        """From now on, by the rules, with what runs beside it. A scrape may take as long as they are apart."""
        targets = [self.demo.metrics, *beside]
        self.prometheus = Prometheus(self.folder / "prometheus", targets, self.rules, scrape)
        self.running.callback(self.prometheus.stop)
        self.prometheus.wait()

    def fires(self, *names):
        """Waits until all of these fire."""
        for name in names:
            eventually(
                f"{name} fires ({self.name}: {self.folder})",
                FIRES_WITHIN_S,
                lambda name=name: self.prometheus.alerts().get(name) == "firing",
            )
            print(f"{name}: fires, because of {self.name}", flush=True)
        return names

    def is_over(self, *names):
        """Waits until none of these fires any more."""
        eventually(
            f"{', '.join(names)} are over ({self.name})",
            FIRES_WITHIN_S,
            # What is not scraped has no alerts either.
            lambda: not set(names) & set(self.prometheus.alerts()) and self.prometheus.value("min(up)") == 1,
        )
        print(f"{', '.join(names)}: over", flush=True)

    def file(self, name):
        """One of the demo's files."""
        return self.demo.data / name


@contextlib.contextmanager
def written_by_another(path):
    """Somebody else writes to this file for as long as this lasts: nobody but them can."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def changed(path, statement, *parameters):
    """Changes a file of a process that does not run. How many rows it was."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        with connection:
            rows = connection.execute(statement, parameters).rowcount
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    if rows < 1:
        raise SystemExit(f"nothing was changed in {path}: {statement}")
    return rows


def a_store_that_takes_nothing(stand):
    """The store's file is locked by somebody else."""
    demo = stand.start()
    stand.watch()
    fired = ("FlagmeterIngestStandsStill", "FlagmeterFreshnessBudgetBurns")
    with written_by_another(demo.data / "store.sqlite"):
        stand.fires(*fired)
    stand.is_over(*fired)
    return fired


def a_log_that_takes_nothing(stand):
    """The log's file is locked by somebody else, and the journal has a small bound."""
    demo = stand.start("edge.journal_bytes_max=1MiB")
    stand.watch()
    key = re.search(r'keys = \["(.+?)"', (demo.data / "registry.toml").read_text("utf-8")).group(1)
    enough = threading.Event()

    def counts():
        """Names that nothing makes smaller."""
        while not enough.wait(0.2):
            entries = [{"flag": uuid.uuid4().hex * 3, "count": 1} for _ in range(500)]
            body = json.dumps({"counts": entries}).encode()
            get(f"http://{demo.http}/v1/counts", key, body, {"Content-Type": "application/json"})

    fired = ("FlagmeterRefusesCounts", "FlagmeterEdgeHandsNothingOn")
    sender = threading.Thread(target=counts)
    try:
        with written_by_another(demo.data / "log.sqlite"):
            sender.start()
            stand.fires(*fired)
            enough.set()
        sender.join()
        stand.is_over(*fired)
    finally:
        enough.set()
    return fired


def a_minute_that_does_not_read_back(stand):
    """Two hours ago: a threshold of a plan is crossed that nobody takes the message of, and the process is killed. Then what
    it has stored of its last minute is damaged, and it is started again.
    """
    demo = stand.start(*WEBHOOK, clock="-2h")
    registry = demo.data / "registry.toml"
    text = registry.read_text(encoding="utf-8")
    registry.write_text(re.sub(r"\bevaluations = \d+", "evaluations = 10", text), encoding="utf-8")
    waits = 'flagmeter_downsampler_webhook_waiting{of="crossing"}'
    closed = "flagmeter_downsampler_closed_until_timestamp_seconds"
    eventually("a threshold is crossed", FIRES_WITHIN_S, lambda: (demo.value(waits) or 0) > 0)
    eventually("an hour is closed", FIRES_WITHIN_S, lambda: (demo.value(closed) or 0) > 0)
    demo.kill()
    changed(
        stand.file("store.sqlite"),
        "UPDATE raw SET block = x'ff00ff' WHERE minute = (SELECT max(minute) FROM raw)",
    )
    demo.start(keep=True).wait()
    token = demo.token()
    stand.watch()
    over = threading.Event()

    def asks():
        """Of the time that does not read back, and of one that does."""
        while not over.wait(0.2):
            get(f"http://{demo.http}/v1/usage?from=-3h&resolution=10s&group_by=flag", token)

    asker = threading.Thread(target=asks)
    asker.start()
    try:
        return stand.fires(
            "FlagmeterDownsamplerMetDamage",
            "FlagmeterRollupIsLate",
            "FlagmeterHoursDoNotClose",
            "FlagmeterQueriesFail",
            "FlagmeterWebhookWaits",
            "FlagmeterBurstsUnwatched",
        )
    finally:
        over.set()
        asker.join()


def a_record_that_cannot_be_read(stand):
    """The process is killed while records wait in the log, the last of them is damaged, and it comes back with another number:
    the one before never said farewell.
    """
    settings = ["downsampler.node_timeout=5s"]
    demo = stand.start(*settings, "edge.node=1")
    with written_by_another(demo.data / "store.sqlite"):
        eventually(
            "records wait", FIRES_WITHIN_S, lambda: (demo.value("flagmeter_ingest_lag_seconds") or 0) > 5
        )
        demo.kill()
    changed(
        stand.file("log.sqlite"),
        "UPDATE records SET payload = x'00' WHERE place = (SELECT max(place) FROM records)",
    )
    demo.start("edge.node=2", keep=True)
    stand.watch()
    return stand.fires("FlagmeterCountsSetAside", "FlagmeterNodeSilent")


def an_upgrade_that_stays_half_done(stand):
    """Beside the process another one runs that says that it is of a later version: the same program, in which the number is
    written over.
    """
    stand.start()
    said = subprocess.run([stand.binary, "--version"], check=True, capture_output=True, text=True).stdout
    version = said.split()[-1].encode()
    later = version[:-1] + (b"9" if version[-1:] != b"9" else b"8")
    program = stand.folder / "flagmeter"
    program.write_bytes(Path(stand.binary).read_bytes().replace(version, later))
    program.chmod(0o755)
    (stand.folder / "later").mkdir()
    other = Demo(program, stand.folder / "later", rate=5)
    stand.running.callback(other.kill)
    other.start().wait()
    # For a minute on end, in which no scrape may fail: the values of a moment are enough.
    stand.watch(other.metrics, scrape="5s")
    fired = stand.fires("FlagmeterVersionsDiffer")
    other.stop()
    return fired


def a_definition_that_cannot_be_used(stand):
    """The file of the runtime flags is no definition; then it is one, with a rule that comes to a variant that there is not."""
    flags = stand.folder / "flags.json"
    compression.define(flags, "zstd")
    stand.start(f"runtime_flags.file={flags}", "runtime_flags.poll_interval=200ms")
    stand.watch()
    fired = ("FlagmeterRuntimeFlagsRefused",)
    for breaks in (lambda: flags.write_text("nonsense", "utf-8"), lambda: compression.define(flags, "rar")):
        breaks()
        stand.fires(*fired)
        compression.define(flags, "zstd")
        stand.is_over(*fired)
    return fired


CAUSES = [
    a_definition_that_cannot_be_used,
    an_upgrade_that_stays_half_done,
    a_store_that_takes_nothing,
    a_log_that_takes_nothing,
    a_minute_that_does_not_read_back,
    a_record_that_cannot_be_read,
]


def happen(binary, folder, rules, only=None):
    """All causes beside each other. What has fired."""
    fired = set()
    with contextlib.ExitStack() as running, ThreadPoolExecutor(len(CAUSES)) as threads:
        started = [
            threads.submit(cause, Stand(cause.__name__, binary, folder, shorter(rules), running))
            for cause in CAUSES
            if only is None or cause.__name__ in only
        ]
        for done in as_completed(started):
            fired |= set(done.result())
    return fired


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


def check_causes(demo, prometheus, binary, marks):
    """What is made to happen is told, its runbook finds it, and dashboards have their marks of it. What has fired."""
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
        print(f"{name}: fires", flush=True)
        said = followed(page, names, environment)
        if missing := [find for find in finds if find not in said]:
            raise SystemExit(f"{page} does not show {missing}: it shows\n{said}")

    registry = demo.data / "registry.toml"
    good = registry.read_text(encoding="utf-8")
    registry.write_text("nonsense", encoding="utf-8")
    fires("FlagmeterRegistryRefused", "registry-refused.md", "line 1")
    registry.write_text(f"{good}\n# Mended.\n", encoding="utf-8")
    for where, query in marks:
        eventually(f"{where} shows it", FIRES_WITHIN_S, lambda query=query: prometheus.series(query, 120))
    print(f"marks: {len(marks)} of dashboards show it")
    eventually("it is over", FIRES_WITHIN_S, lambda: "FlagmeterRegistryRefused" not in prometheus.alerts())
    demo.kill()
    fires("FlagmeterProcessDown", "process-down.md", "no process answers")
    return {"FlagmeterRegistryRefused", "FlagmeterProcessDown"}
