"""What stands between an SDK and flagmeter: Flagsmith's flag API, in a few lines.

It serves the environment document, which flagmeter has nothing to do with, and passes analytics on unchanged,
because the Node SDK knows only one address for both.
"""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = "/api/v1/"
HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding"}


def environment_document(key, flags):
    feature_states = [
        {
            "django_id": number,
            "enabled": True,
            "feature": {"id": number, "name": name, "type": "STANDARD"},
            "feature_state_value": f"value of {name}",
            "featurestate_uuid": f"00000000-0000-4000-8000-{number:012}",
            "multivariate_feature_state_values": [],
        }
        for number, name in enumerate(flags, start=1)
    ]
    organisation = {
        "id": 1,
        "name": "Acme",
        "feature_analytics": True,
        "stop_serving_flags": False,
        "persist_trait_data": True,
    }
    project = {
        "id": 1,
        "name": "web",
        "hide_disabled_flags": False,
        "segments": [],
        "organisation": organisation,
    }
    return {
        "id": 1,
        "api_key": key,
        "name": "production",
        "updated_at": "2026-11-20T12:00:00+00:00",
        "feature_states": feature_states,
        "identity_overrides": [],
        "project": project,
    }


class Stub(ThreadingHTTPServer):
    """Serves on a free port of this machine until stopped. `analytics` holds what passed through, in order."""

    daemon_threads = True

    def __init__(self, documents, upstream_port):
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents = documents
        self.upstream_port = upstream_port
        self.analytics = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def api_url(self):
        return f"http://127.0.0.1:{self.server_port}{API}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        document = self.server.documents.get(self.headers["X-Environment-Key"])
        if self.path != f"{API}environment-document/" or document is None:
            self.answer(404, b"{}")
        else:
            self.answer(200, json.dumps(document).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream_port, timeout=30)
        upstream.request("POST", self.path, body, headers)
        answer = upstream.getresponse()
        self.server.analytics.append((dict(self.headers), body, answer.status))
        self.answer(answer.status, answer.read())
        upstream.close()

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
