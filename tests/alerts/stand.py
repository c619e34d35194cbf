"""What these tests stand on: a demo of flagmeter, a Prometheus that scrapes it, and waiting until something is so."""

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
READY_WITHIN_S = 400
PORTS = iter(random.sample(range(20_000, 30_000), 1_000))
PORTS_LOCK = threading.Lock()
CONFIG = """
global: {{ scrape_interval: {scrape}, scrape_timeout: {scrape}, evaluation_interval: 1s }}
rule_files: [rules.yml]
scrape_configs:
  - job_name: flagmeter
    static_configs: [{{ targets: {targets} }}]
"""


def free_address():
    """One outside the range from which the system gives ports to connections."""
    with PORTS_LOCK:
        for port in PORTS:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return f"127.0.0.1:{port}"
    raise SystemExit("there is no free port")


def get(url, token=None, body=None, headers=None):
    """What is answered, as text; None where nothing is, or an error."""
    headers = dict(headers or {})
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with contextlib.suppress(OSError, http.client.HTTPException):
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()
    return None


def eventually(what, within, look):
    """Waits until a look finds something, and gives it back."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.2)
    raise SystemExit(f"not within {within} s: {what}")


def without_settings():
    """Our environment without what flagmeter would take for its settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FLAGMETER_")}


def new_token(binary, data, address):
    """A token of an operator, which the running server knows within a second."""
    command = [binary, "token", "create", "operator", "--set", f"data.path={data}"]
    made = subprocess.run(command, env=without_settings(), check=True, capture_output=True, text=True)
    token = made.stdout.strip()
    eventually("the token is known", READY_WITHIN_S, lambda: get(f"http://{address}/v1/session", token))
    return token


def another_time_of_day(clock):
    """What a process has to be given for it. `faketime` itself would stand between us and the process: killed, it is gone before
    the process is. What measures how long something takes goes on as it does.
    """
    library = subprocess.run(
        ["faketime", "-f", clock, "printenv", "LD_PRELOAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    return {"LD_PRELOAD": library, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class Demo:
    """A demo that is scraped."""

    def __init__(self, binary, folder, *settings, rate=20):
        """Says what is started; it is started with `start`."""
        self.binary = binary
        self.rate = rate
        self.metrics = free_address()
        self.http = free_address()
        # Where SDKs post to.
        self.door = self.http
        self.data = folder / "data"
        self.registry = self.data / "registry.toml"
        self.output = folder / "demo.log"
        self.settings = [f"listen.metrics={self.metrics}", f"listen.http={self.http}", *settings]
        self.process = None

    def start(self, *settings, keep=False, clock=None):
        """Starts it; `keep` on the data of the last time, `clock` with another time of day (see faketime)."""
        command = [self.binary, "demo", "--days", "0", "--rate", str(self.rate), "--data", self.data]
        command += ["--keep"] if keep else []
        for setting in [*self.settings, *settings]:
            command += ["--set", setting]
        environment = without_settings()
        if clock is not None:
            environment |= another_time_of_day(clock)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        return self

    def wait(self):
        """Until it works; ends the run where it has ended."""
        eventually(f"the demo is ready: {self.output}", READY_WITHIN_S, self._is_ready)
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the demo ended:\n{self.output.read_text()}")
        return get(f"http://{self.metrics}/readyz") is not None

    def value(self, metric):
        """A metric without labels as it tells it itself."""
        for line in (get(f"http://{self.metrics}/metrics") or "").splitlines():
            if line.startswith(f"{metric} "):
                return float(line.split()[1])
        return None

    def token(self):
        """A new token of an operator."""
        return new_token(self.binary, self.data, self.http)

    def kill(self):
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """In order."""
        self.process.terminate()
        self.process.wait(60)


class Prometheus:
    """A server with the rules."""

    def __init__(self, folder, targets, rules, scrape="5s"):
        """Starts it."""
        folder.mkdir()
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        (folder / "prometheus.yml").write_text(
            CONFIG.format(targets=json.dumps(targets), scrape=scrape), encoding="utf-8"
        )
        address = free_address()
        self.url = f"http://{address}/api/v1"
        command = ["prometheus", f"--web.listen-address={address}"]
        command += [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def wait(self):
        """Until it scrapes."""
        eventually("Prometheus scrapes", READY_WITHIN_S, lambda: self.value('min(up{job="flagmeter"})') == 1)
        return self

    def ask(self, path, **params):
        """The data of an answer; None where there is none yet."""
        text = get(f"{self.url}/{path}?{urllib.parse.urlencode(params, doseq=True)}")
        return None if text is None else json.loads(text)["data"]

    def answer(self, path):
        """As `ask`, once there is one: no answer is not the same as nothing in it."""
        return eventually(f"Prometheus answers {path}", READY_WITHIN_S, lambda: self.ask(path))

    def value(self, query):
        """The one value of an instant query."""
        found = self.ask("query", query=query)
        return float(found["result"][0]["value"][1]) if found and found["result"] else None

    def by_label(self, query, label):
        """The values of an instant query by a label of theirs."""
        found = self.ask("query", query=query) or {"result": []}
        return {one["metric"].get(label): float(one["value"][1]) for one in found["result"]}

    def series(self, query, seconds=None):
        """How many series with a number in them a query finds, over the last seconds or now; fails with what Prometheus says of
        a wrong one.
        """
        now = time.time()
        path, params = "query", {"query": query}
        if seconds is not None:
            path, params = "query_range", params | {"start": now - seconds, "end": now, "step": 5}
        try:
            with urllib.request.urlopen(
                f"{self.url}/{path}?{urllib.parse.urlencode(params)}", timeout=30
            ) as told:
                found = json.load(told)["data"]["result"]
        except urllib.error.HTTPError as refused:
            raise SystemExit(f"{query}\nPrometheus says: {refused.read().decode()}") from refused
        values = [one.get("values") or [one["value"]] for one in found]
        return sum(any(value != "NaN" for _, value in series) for series in values)

    def names(self):
        """Of all metrics that it knows."""
        return self.ask("label/__name__/values")

    def rules(self):
        """All rules as they are evaluated."""
        return [rule for group in self.answer("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        """Names and states of what is pending or firing."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self.answer("alerts")["alerts"]}

    def stop(self):
        """In order."""
        self.process.terminate()
        self.process.wait()
