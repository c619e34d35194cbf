#!/usr/bin/env python3
"""Holds the direction of the crates: each may depend only on what ARCHITECTURE.md allows.

The two tables there are the one source. The first says what each crate of the workspace sees, the second
which crates may know an outside crate. Normal, build and dev dependencies count alike. A crate without a row,
a row without a crate, and a row that nothing could ever break are faults too, so that the tables stay true.

    .ci/direction.py            check the workspace
    .ci/direction.py --self-test    show that the check fails when the direction is broken
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST_TABLE = ("crate", "what it does", "sees")
SECOND_TABLE = ("outside crate", "known only to", "why")


def rows(markdown, header):
    """The rows of the table with this header, as tuples of cells without their backquotes."""
    lines = iter(markdown.splitlines())
    for line in lines:
        if cells(line) == header:
            break
    else:
        raise SystemExit(f"ARCHITECTURE.md has no table with the header: {' | '.join(header)}")
    next(lines)  # the rule below the header
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append(cells(line))
    return found


def cells(line):
    return tuple(cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|"))


def names(cell):
    return {name.strip().rstrip("/") for name in cell.split(",")}


def allowed_by(markdown):
    """({crate: crates it may see}, {outside crate: crates that may know it})"""
    sees = {}
    for crate, _, seen in rows(markdown, FIRST_TABLE):
        sees[crate.rstrip("/")] = seen
    everything = set(sees)
    for crate, seen in sees.items():
        special = {"nothing": set(), "all": everything - {crate}}
        sees[crate] = special[seen] if seen in special else names(seen)
    outside = {crate: names(knowers) for crate, knowers, _ in rows(markdown, SECOND_TABLE)}
    return sees, outside


def crates_of(metadata):
    """{crate's folder: (crates of the workspace, outside crates) that its manifest names}"""
    root = Path(metadata["workspace_root"])
    folders = {
        p["name"]: str(Path(p["manifest_path"]).parent.relative_to(root)) for p in metadata["packages"]
    }
    found = {}
    for package in metadata["packages"]:
        named = {dependency["name"] for dependency in package["dependencies"]}
        found[folders[package["name"]]] = (
            {folders[name] for name in named if name in folders},
            {name for name in named if name not in folders},
        )
    return found


def faults(allowed, crates):
    sees, outside = allowed
    for crate in sorted(set(crates) - set(sees)):
        yield f"`{crate}` is not in ARCHITECTURE.md's table"
    for crate in sorted(set(sees) - set(crates)):
        yield f"ARCHITECTURE.md has a row for `{crate}`, which is not in the workspace"
    for crate, seen in sorted(sees.items()):
        for unknown in sorted(seen - set(sees)):
            yield f"ARCHITECTURE.md lets `{crate}` see `{unknown}`, which has no row"
    for name, knowers in sorted(outside.items()):
        for unknown in sorted(knowers - set(sees)):
            yield f"ARCHITECTURE.md lets `{unknown}` know {name}, and has no row for `{unknown}`"
    for crate, (inside, others) in sorted(crates.items()):
        for seen in sorted(inside - sees.get(crate, set()) - {crate}):
            yield f"`{crate}` depends on `{seen}`, which ARCHITECTURE.md does not let it see"
        for name in sorted(others):
            if crate not in outside.get(name, {crate}):
                yield f"`{crate}` depends on {name}, which only {', '.join(sorted(outside[name]))} may know"


def self_test(allowed, crates):
    """Breaks the direction in every way that the tables forbid, and counts the breaks that go unseen."""
    sees, outside = allowed
    breaks = [(crate, seen, 0) for crate in sees for seen in set(sees) - sees[crate] - {crate}]
    breaks += [(crate, name, 1) for name, knowers in outside.items() for crate in set(sees) - knowers]
    unseen = 0
    for crate, name, kind in breaks:
        broken = {other: (set(inside), set(others)) for other, (inside, others) in crates.items()}
        broken[crate][kind].add(name)
        if not any(fault.startswith(f"`{crate}` depends on ") for fault in faults(allowed, broken)):
            print(f"not noticed: `{crate}` depending on {name}")
            unseen += 1
    print(f"{len(breaks)} ways to break the direction, {unseen} of them not noticed")
    return 1 if unseen or not breaks else 0


def main():
    command = ["cargo", "metadata", "--format-version=1", "--no-deps", "--locked"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    allowed = allowed_by((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    crates = crates_of(metadata)
    if sys.argv[1:] == ["--self-test"]:
        return self_test(allowed, crates)
    found = list(faults(allowed, crates))
    for fault in found:
        print(fault)
    print(f"{len(crates)} crates, {len(found)} faults in their direction")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
