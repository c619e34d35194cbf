"""A flagmeter of one's own: its own folder, registry, ports and token."""

import json
import re
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

STARTS_WITHIN_S = 180
STOPS_WITHIN_S = 60


class Server:
    """`flagmeter serve` on free ports, from entering the context to leaving it."""

    def __init__(self, binary, registry):
        """Takes the program's path and the text of a registry."""
        self.binary = binary
        self.folder = tempfile.TemporaryDirectory(prefix="flagmeter-sdks-")
        self.data = Path(self.folder.name) / "data"
        self.data.mkdir()
        (self.data / "registry.toml").write_text(registry, encoding="utf-8")
        self.output = Path(self.folder.name) / "output"

    def __enter__(self):
        create = [self.binary, "token", "create", "operator", "--data", self.data]
        self.token = subprocess.run(create, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        free_ports = ["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [self.binary, "serve", "--data", self.data, *free_ports],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.port = int(self.said(r"http://127\.0\.0\.1:(\d+)"))
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOPS_WITHIN_S)
        output = self.output.read_text(encoding="utf-8")
        self.folder.cleanup()
        if status != 0:
            raise SystemExit(f"flagmeter stopped with status {status}:\n{output}")

    def said(self, pattern):
        """The first group of what the server printed, as soon as it has printed it."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(pattern, self.output.read_text(encoding="utf-8"))
            if found:
                return found.group(1)
            time.sleep(0.02)
        raise SystemExit(f"flagmeter did not start:\n{self.output.read_text(encoding='utf-8')}")

    def get(self, path, parameters):
        """What the API answers, read as JSON."""
        query = urllib.parse.urlencode(parameters)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}?{query}")
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
