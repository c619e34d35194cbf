"""What must be so of a demo in which nothing is wrong."""

import contextlib
import json
import re
import time
import urllib.request

from stand import READY_WITHIN_S, ROOT, eventually, get

DASHBOARDS = ROOT / "deploy/grafana/dashboards"
# What Grafana puts in the place of its own variables, for a scrape in 5 s.
VARIABLES = {"$__rate_interval": "20s", "$__interval": "15s", "$__range": "2m"}
# What a healthy demo has none of, and why. All else must be there.
MAY_BE_EMPTY = {
    r"\bflagmeter_log_": "the embedded log has no transactions and no partitions to share",
    r"\bflagmeter_edge_folds_total": "no environment has too many series",
    r"\bflagmeter_ingest_retries_total": "no call failed",
    r"^ALERTS\b": "no alert fires",
    r"increase\(flagmeter_downsampler_alerts_total.* > 0": "nothing is out of the ordinary",
    r"increase\(flagmeter_registry_reloads_total.* > 0": "the registry was not changed",
}
# Those of Kafka are there in tests/alerts/cluster, on real servers; those of traces in builds with the feature `otel`.
NOT_EMBEDDED = re.compile(r"flagmeter_log_|flagmeter_ledger_|flagmeter_traces_")


class Viewer:
    """Somebody who looks: asks questions, has a live stream open, sends a count that is not taken, and one with a key that
    nobody knows.
    """

    def __init__(self, demo):
        """Signs in, and opens the stream."""
        self.demo = demo
        self.token = demo.token()
        registry = demo.registry.read_text(encoding="utf-8")
        self.key = re.search(r'keys = \["(.+?)"', registry).group(1)
        request = urllib.request.Request(
            f"http://{demo.http}/v1/live?from=-5m&group_by=flag",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        self.stream = urllib.request.urlopen(request, timeout=60)

    def look(self):
        """Once."""
        for path in ["usage?from=-5m", "flags", "billing/hours", "operator/pipeline", "chart.svg?from=-5m"]:
            get(f"http://{self.demo.http}/v1/{path}", self.token)
        counts = json.dumps({"counts": [{"flag": "", "count": 1}]}).encode()
        for key in ["nobody's", self.key]:
            get(f"http://{self.demo.door}/v1/counts", key, counts, {"Content-Type": "application/json"})

    def close(self):
        """Goes away."""
        with contextlib.suppress(OSError):
            self.stream.close()


def named(text):
    """The metrics of ours that a text names, as they are told: histograms by one of their parts."""
    return sorted(set(re.findall(r"\bflagmeter_[a-z0-9_]+", text)))


def queries():
    """All queries of all dashboards: where they stand, what they ask, and whether over a time."""
    for file in sorted(DASHBOARDS.glob("*.json")):
        board = json.loads(file.read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield f"{file.name}: {panel['title']}", target["expr"], target["range"]
        for annotation in board["annotations"]["list"]:
            if "expr" in annotation:
                yield f"{file.name}: annotation {annotation['name']}", annotation["expr"], True


def marks():
    """The queries of marks, each once, but for bursts: no traffic is made here that is out of the ordinary for minutes."""
    found = {filled(query): where for where, query, _ in queries() if "annotation" in where}
    return [(where, query) for query, where in found.items() if not where.endswith("Bursts and drops")]


def filled(query):
    """A query as Grafana sends it."""
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    if "$" in query:
        raise SystemExit(f"a variable of this query has no value here: {query}")
    return query


def check_names(prometheus, rules):
    """Each metric that rules, dashboards or their page name is there."""
    pages = "\n".join((ROOT / "docs" / page).read_text("utf-8") for page in ["metrics.md", "dashboards.md"])
    texts = {
        "rules": re.sub(r"#.*|runbook:.*", "", rules),
        "dashboards": "\n".join(query for _, query, _ in queries()),
        "pages": pages,
    }
    for what, text in texts.items():
        names = [name for name in named(text) if not NOT_EMBEDDED.match(name)]
        may_be = [name for name in names if any(re.search(why, name) for why in MAY_BE_EMPTY)]
        known = re.compile("|".join(f"{name}(_bucket)?" for name in names))
        there = {name.removesuffix("_bucket") for name in prometheus.names() if known.fullmatch(name)}
        there |= {f"{name}_bucket" for name in there}
        missing = [name for name in names if name not in there and name not in may_be]
        if missing:
            raise SystemExit(f"no process tells what {what} name: {', '.join(missing)}")
        print(f"names: {len(names)} metrics of {what} are there")


def check_dashboards(prometheus, may_be_empty=None):
    """Each query of each dashboard is answered, with data where one in which nothing is wrong has some."""
    may_be_empty = MAY_BE_EMPTY if may_be_empty is None else may_be_empty
    asked = empty = 0
    for where, query, over_time in queries():
        found = prometheus.series(filled(query), 120 if over_time else None)
        asked += 1
        if found == 0:
            empty += 1
            if not any(re.search(why, query) for why in may_be_empty):
                raise SystemExit(f"{where} has no data: {query}")
    print(
        f"dashboards: {asked} queries are answered, {empty} of them without data, as it must be where nothing is wrong"
    )


def check_runbooks(rules):
    """Each alert has its page, and stands in their list."""
    listed = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    alerts = re.findall(r"- alert: (\w+).*?runbook: (\S+)", rules, flags=re.DOTALL)
    for alert, page in alerts:
        if (
            not (ROOT / page).is_file()
            or f"| `{alert}` | [" not in listed
            or f"]({page.split('/')[-1]})" not in listed
        ):
            raise SystemExit(f"{alert} has no page {page}, or does not stand in docs/runbooks/README.md")
    if len(alerts) != rules.count("- alert:"):
        raise SystemExit("an alert names no runbook")
    print(f"runbooks: {len(alerts)} alerts have theirs")


def check_evaluation(prometheus):
    """Each rule was evaluated, without an error."""
    rules = eventually(
        "all rules are evaluated",
        READY_WITHIN_S,
        lambda: (
            (found := prometheus.rules()) and all(rule["health"] != "unknown" for rule in found) and found
        ),
    )
    wrong = [f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"]
    if wrong:
        raise SystemExit("rules that cannot be evaluated:\n" + "\n".join(wrong))
    print(f"rules: {len(rules)} are evaluated")


def check_quiet(prometheus, viewer, minutes, states=("pending", "firing")):
    """Nothing is in one of these states, at each look."""
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        if alerts := {name: state for name, state in prometheus.alerts().items() if state in states}:
            raise SystemExit(f"a healthy demo alerts: {alerts}")
        viewer.look()
        time.sleep(1)
    print(f"quiet: nothing {' or '.join(states)} for {minutes:g} minutes")
