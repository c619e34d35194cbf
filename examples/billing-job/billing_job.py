#!/usr/bin/env python3
"""Keeps a table of billed hours up to date from flagmeter's ledger. Copy it, and put your own database in its place.

    export FLAGMETER_URL=http://localhost:8080 FLAGMETER_TOKEN=...   # a token of the role billing
    python3 billing_job.py --database billing.sqlite                 # goes on until it is stopped
    python3 billing_job.py --database billing.sqlite --once          # ends when there is nothing new
    python3 billing_job.py --database billing.sqlite --totals        # what the table adds up to, as CSV

Three rules make it exact, whenever it is killed and however often it is started:

1. The rows of a page and the cursor after it are kept in one transaction. If that is cut off, the same page comes again.
2. A row takes the place of the one for its hour only if its revision is greater. So a page that comes again does nothing.
3. The cursor is kept as it was given. What it says is the server's business.

It needs Python 3.9 and nothing else.
"""

import argparse
import http.client
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# How long one request waits at the server for news, and for its answer at all, in seconds.
WAIT_S = 30
TIMEOUT_S = 90
# How long until a server that does not answer is asked again, in seconds: at first, and at most.
PAUSE_MIN_S = 1
PAUSE_MAX_S = 60

TABLES = """
    CREATE TABLE IF NOT EXISTS billed_hours (
        customer TEXT NOT NULL,
        project TEXT NOT NULL,
        environment TEXT NOT NULL,
        meter TEXT NOT NULL,
        hour TEXT NOT NULL,            -- its start, RFC 3339, UTC
        revision INTEGER NOT NULL,
        count INTEGER NOT NULL,
        complete INTEGER NOT NULL,     -- 0: a node was silent; what it brings later is a correction
        PRIMARY KEY (customer, project, environment, meter, hour)
    );
    CREATE TABLE IF NOT EXISTS position (id INTEGER PRIMARY KEY CHECK (id = 1), after TEXT NOT NULL);
"""

UPSERT = """
    INSERT INTO billed_hours (customer, project, environment, meter, hour, revision, count, complete)
    VALUES (:customer, :project, :environment, :meter, :hour, :revision, :count, :complete)
    ON CONFLICT (customer, project, environment, meter, hour) DO UPDATE
    SET revision = excluded.revision, count = excluded.count, complete = excluded.complete
    WHERE excluded.revision > billed_hours.revision
"""


class Refused(Exception):
    """The server says that this request will never be answered as it is."""


def ask(url: str, token: str, after: "str | None", wait_s: int) -> dict:
    """The next page. Raises OSError when it may come later, and Refused when not."""
    parameters = {"limit": "10000"}
    if after is not None:
        parameters["after"] = after
    if wait_s:
        parameters["wait"] = f"{wait_s}s"
    address = f"{url.rstrip('/')}/v1/billing/closed-hours?{urllib.parse.urlencode(parameters)}"
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code >= 500 or error.code == 429:
            raise OSError(f"the server answers {error.code}") from error
        try:
            detail = json.load(error)["detail"]
        except (ValueError, KeyError):
            detail = error.reason
        raise Refused(f"the server answers {error.code}: {detail}") from error
    except (ValueError, http.client.HTTPException) as error:
        # An answer that was cut off.
        raise OSError(f"the answer does not read: {error}") from error


def take(database: sqlite3.Connection, page: dict) -> int:
    """Keeps a page and the place behind it, in one transaction. How many rows it had."""
    with database:
        for row in page["rows"]:
            # Counts come as text, because JSON numbers lose digits in many languages. Not in this one.
            database.execute(UPSERT, {**row, "count": int(row["count"]), "complete": int(row["complete"])})
        database.execute(
            "INSERT INTO position (id, after) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET after = excluded.after",
            (page["next"],),
        )
    return len(page["rows"])


def follow(database: sqlite3.Connection, url: str, token: str, once: bool) -> None:
    """Reads on from where the last run ended."""
    pause_s = PAUSE_MIN_S
    while True:
        found = database.execute("SELECT after FROM position").fetchone()
        try:
            page = ask(url, token, found[0] if found else None, 0 if once else WAIT_S)
        except OSError as error:
            if once:
                raise
            print(f"{error}; asking again in {pause_s} s", file=sys.stderr, flush=True)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)
            continue
        pause_s = PAUSE_MIN_S
        rows = take(database, page)
        if rows:
            print(f"{rows} rows", flush=True)
        if once and not page["more"]:
            return


def tell_totals(database: sqlite3.Connection) -> None:
    """What was billed, by customer, project, environment and meter."""
    print("customer,project,environment,meter,hours,count")
    query = """
        SELECT customer, project, environment, meter, count(*), sum(count) FROM billed_hours
        GROUP BY customer, project, environment, meter ORDER BY customer, project, environment, meter
    """
    for row in database.execute(query):
        print(",".join(map(str, row)))


def main() -> int:
    """Parses the command line and goes."""
    parser = argparse.ArgumentParser(description="Keeps a table of billed hours from flagmeter's ledger.")
    parser.add_argument("--database", required=True, help="SQLite file; made if it is not there")
    parser.add_argument("--url", default=os.environ.get("FLAGMETER_URL", "http://localhost:8080"))
    parser.add_argument("--once", action="store_true", help="end when there is nothing new")
    parser.add_argument("--totals", action="store_true", help="print what the table adds up to, and end")
    arguments = parser.parse_args()
    database = sqlite3.connect(arguments.database, timeout=30)
    database.executescript(TABLES)
    if arguments.totals:
        tell_totals(database)
        return 0
    token = os.environ.get("FLAGMETER_TOKEN")
    if not token:
        print(
            "FLAGMETER_TOKEN is not set: make a token with `flagmeter token create --role billing`",
            file=sys.stderr,
        )
        return 2
    try:
        follow(database, arguments.url, token, arguments.once)
    except (Refused, OSError) as error:
        print(f"billing_job: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: the next start goes on from here", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
