"""Compression is rolled out, and its dashboard tells what happened."""

import functools
import json
import time

import health
from stand import eventually

SHOWN_WITHIN_S = 300
BOARD = "compression.json"


def define(path, rule, state="ENABLED"):
    """Writes the runtime flag, so that nobody reads half of it."""
    flag = {
        "state": state,
        "variants": {"off": "off", "gzip": "gzip", "zstd": "zstd"},
        "defaultVariant": "off",
        "targeting": rule,
        "metadata": {"owner": "pipeline", "remove_by": "2099-12-31"},
    }
    whole = path.with_suffix(".new")
    whole.write_text(json.dumps({"flags": {"log-compression": flag}}), encoding="utf-8")
    whole.replace(path)


def define_share(path, percent):
    """A share of all customers; None is the kill switch."""
    if percent is None:
        define(path, {"fractional": [["zstd", 100], ["off", 0]]}, state="DISABLED")
    else:
        define(path, {"fractional": [["zstd", percent], ["off", 100 - percent]]})


def by_title(title):
    """The queries of a panel, or of a mark, as Grafana sends them."""
    found = [health.filled(query) for where, query, _ in health.queries() if where == f"{BOARD}: {title}"]
    if not found:
        raise SystemExit(f"{BOARD} has no {title}")
    return found


def shows(prometheus, least, most, changed_at, forms):
    """Whether the dashboard shows such a share of customers, a mark since then, and records of these forms alone."""
    (share,), (mark,) = by_title("Customers compressed"), by_title("annotation Changes of the rollout")
    told = {query: prometheus.value(query) for query in (share, mark)}
    written = prometheus.by_label(by_title("Bytes to the log")[0], "form")
    return (
        None not in told.values()
        and least <= told[share] <= most
        and told[mark] >= changed_at * 1000
        and {form for form, rate in written.items() if rate > 0} == forms
    )


def check(prometheus, path):
    """Nobody, half, all, and the kill switch: each shows in the share of customers, in what is written, and as a mark."""
    steps = [(0, (0, 0), {"plain"}), (50, (0.2, 0.8), {"plain", "compressed"})]
    steps += [(100, (1, 1), {"compressed"}), (None, (0, 0), {"plain"})]
    for percent, (least, most), forms in steps:
        what = "the kill switch" if percent is None else f"{percent} %"
        # Marks know whole seconds.
        changed_at = int(time.time())
        define_share(path, percent)
        look = functools.partial(shows, prometheus, least, most, changed_at, forms)
        eventually(f"the dashboard shows {what}", SHOWN_WITHIN_S, look)
        print(f"compression: {what} shows as it is, with {' and '.join(sorted(forms))} records")
    smaller = prometheus.value(by_title("Smaller by")[0])
    if not 0 < smaller < 1:
        raise SystemExit(f"compression is shown to make records smaller by {smaller}")
    print(f"compression: what was compressed is shown to be {smaller:.0%} smaller")
