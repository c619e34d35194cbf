import { describe, expect, it } from "vitest";
import type { Usage, UsageRow } from "../src/api/types";
import { shares } from "../src/views/flag/shares";

const row = (
  day: number,
  variant: string | null,
  count: number | null,
  state: UsageRow["state"] = "complete",
) => ({
  start: `2026-11-${day}T00:00:00Z`,
  end: `2026-11-${day + 1}T00:00:00Z`,
  state,
  count,
  variant,
});

function usage(rows: UsageRow[]): Usage {
  return {
    meter: "evaluations",
    from: "2026-11-18T00:00:00Z",
    to: "2026-11-21T00:00:00Z",
    resolution: "1d",
    tz: "UTC",
    complete_until: "2026-11-20T12:00:00Z",
    missing_nodes: [],
    group_by: ["variant"],
    state: "open",
    total: 1,
    rows,
  };
}

describe("shares", () => {
  const answer = usage([
    row(18, "off", null, "unknown"),
    row(18, "on", null, "unknown"),
    row(18, "__other__", null, "unknown"),
    row(19, "off", 10),
    row(19, "on", 30),
    row(19, "__other__", 60),
  ]);

  it("stand in the order of their totals, the rest last, whatever it comes to", () => {
    const found = shares(answer, "variant");
    expect(found.map(({ label, part }) => [label, part])).toEqual([
      ["on", 0.3],
      ["off", 0.1],
      ["all others", 0.6],
    ]);
  });

  it("are not known where nothing is", () => {
    const [share] = shares(usage([row(18, "on", null, "unknown")]), "variant");
    expect([share?.total, share?.part]).toEqual([null, null]);
  });

  it("leave out the group without a name where nothing of it was counted", () => {
    const found = shares(usage([row(19, "on", 3), row(19, null, 0)]), "variant");
    expect(found.map(({ label }) => label)).toEqual(["on"]);
  });
});
