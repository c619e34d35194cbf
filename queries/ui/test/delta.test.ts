import { describe, expect, it } from "vitest";
import { applied, groupsOf } from "../src/api/delta";
import type { Delta, Usage, UsageRow } from "../src/api/types";

const at = (minute: number): string => new Date(Date.UTC(2026, 10, 20, 12, minute)).toISOString();

function row(minute: number, flag: string | null, count: number | null): UsageRow {
  const state = count === null ? "unknown" : "complete";
  return { start: at(minute), end: at(minute + 1), state, count, flag };
}

function usage(from: number, to: number, rows: UsageRow[]): Usage {
  return {
    meter: "evaluations",
    from: at(from),
    to: at(to),
    resolution: "1m",
    tz: "UTC",
    complete_until: at(to),
    missing_nodes: [],
    group_by: ["flag"],
    state: "complete",
    total: rows.reduce((sum, { count }) => sum + (count ?? 0), 0),
    rows,
  };
}

describe("a delta", () => {
  const have = usage(0, 2, [row(0, "a", 1), row(0, "b", 2), row(1, "a", 3), row(1, "b", 4)]);

  it("replaces, adds, and lets go of what is before its range", () => {
    const delta: Delta = usage(1, 3, [row(1, "a", 5), row(2, "a", 6), row(2, "b", 7)]);
    expect(applied(have, delta).rows).toEqual([
      row(1, "a", 5),
      row(1, "b", 4),
      row(2, "a", 6),
      row(2, "b", 7),
    ]);
  });

  it("brings the groups into their new order, and lets go of those that are not listed", () => {
    const delta: Delta = {
      ...usage(0, 2, [row(0, "c", 9), row(1, "c", 9)]),
      groups: [{ flag: "c" }, { flag: "a" }],
    };
    expect(applied(have, delta).rows.map(({ flag, count }) => [flag, count])).toEqual([
      ["c", 9],
      ["a", 1],
      ["c", 9],
      ["a", 3],
    ]);
  });

  it("tells a group without a name from one that is called null", () => {
    const both = usage(0, 1, [row(0, null, 1), row(0, "null", 2)]);
    const delta: Delta = usage(0, 1, [row(0, "null", 3)]);
    expect(applied(both, delta).rows.map(({ count }) => count)).toEqual([1, 3]);
    expect(groupsOf(both.rows)).toHaveLength(2);
  });

  it("takes a moment that is written with another offset for the same", () => {
    const delta: Delta = { ...usage(0, 2, [row(1, "a", 8)]), from: "2026-11-20T13:00:00+01:00" };
    expect(applied(have, delta).rows[0]).toEqual(row(0, "a", 1));
  });
});
