import { describe, expect, it } from "vitest";
import { type BilledHour, greatest, hoursOf, portion, sum, withRoom } from "../src/views/billing/amounts";
import type { Statement } from "../src/views/billing/ask";
import { daysOf, inZone, periodsBefore, utc } from "../src/views/billing/days";
import { noRows } from "../src/views/billing/hours-table";
import { type Drawn, dayBars, hourBars } from "../src/views/billing/usage-chart";

function hour(at: string, count: string, more: Partial<BilledHour> = {}): BilledHour {
  return {
    customer: "acme",
    project: "web",
    environment: "production",
    meter: "evaluations",
    hour: at,
    state: "final",
    revision: 1,
    count,
    difference: count,
    correction: false,
    complete: true,
    missing_nodes: [],
    closed_at: null,
    ...more,
  };
}

describe("counts of bills", () => {
  it("are added up to the last digit, however many they are", () => {
    expect(sum(["9007199254740993", "9007199254740993", "1"])).toBe(18_014_398_509_481_987n);
  });

  it("are drawn as a part of the whole", () => {
    expect(portion(1n, 3n)).toBeCloseTo(1 / 3, 4);
    expect(portion(5n, 0n)).toBe(0);
    expect(greatest([2n, 18_014_398_509_481_987n, 3n])).toBe(18_014_398_509_481_987n);
  });
});

describe("marks", () => {
  it("are named as far as their names have room, the last one in any case", () => {
    expect([...withRoom([0.4, 0.6, 0.75, 0.9])].sort()).toEqual([0, 1, 2, 3]);
    expect([...withRoom([0.1, 0.16, 0.2, 0.24])].sort()).toEqual([0, 3]);
    expect([...withRoom([])]).toEqual([]);
  });
});

describe("hours", () => {
  it("come to what their greatest revision says, all environments together", () => {
    const rows = [
      hour("2026-11-20T13:00:00Z", "10"),
      hour("2026-11-20T13:00:00Z", "15", { revision: 2 }),
      hour("2026-11-20T13:00:00Z", "1", { environment: "staging" }),
      hour("2026-11-20T13:00:00Z", "99", { meter: "requests" }),
    ];
    expect(hoursOf(rows, "evaluations")).toEqual([
      { hour: "2026-11-20T13:00:00Z", state: "final", count: 16n, revision: 2, isComplete: true },
    ]);
  });

  it("are no more settled than the least settled of their environments", () => {
    const rows = [
      hour("2026-11-20T13:00:00Z", "10"),
      hour("2026-11-20T13:00:00Z", "1", {
        environment: "staging",
        state: "closing",
        revision: null,
        complete: false,
      }),
    ];
    expect(hoursOf(rows, "evaluations")[0]).toMatchObject({ state: "closing", isComplete: false });
  });
});

describe("days of a bill", () => {
  it("are of 25 and 23 hours where clocks change", () => {
    const hours = (from: string, to: string): number[] =>
      daysOf(from, to, "Europe/Berlin").map((day) => (day.to - day.from) / 3_600_000);
    expect(hours("2026-10-24T00:00:00+02:00", "2026-10-27T00:00:00+01:00")).toEqual([24, 25, 24]);
    expect(hours("2026-03-28T00:00:00+01:00", "2026-03-31T00:00:00+02:00")).toEqual([24, 23, 24]);
  });

  it("show the clocks of the zone", () => {
    expect(inZone("2026-11-20T13:00:00Z", "America/New_York")).toBe("2026-11-20T08:00:00-05:00");
    expect(inZone("2026-11-20T13:00:00Z", "Asia/Kolkata")).toBe("2026-11-20T18:30:00+05:30");
    expect(utc(Date.parse("2026-11-20T13:00:00+01:00"))).toBe("2026-11-20T12:00:00Z");
  });

  it("belong to periods, the last one first, over the turn of the year", () => {
    expect(periodsBefore("2027-02-15T00:00:00+01:00", 3)).toEqual(["2027-02", "2027-01", "2026-12"]);
  });
});

describe("bars", () => {
  const zone = "Europe/Berlin";
  const statement = {
    counted_until: "2026-11-20T10:00:00+01:00",
    rows: [
      { kind: "usage", meter: "evaluations", start: "2026-11-19T00:00:00+01:00", count: "30" },
      { kind: "usage", meter: "evaluations", start: "2026-11-20T00:00:00+01:00", count: "10" },
      { kind: "correction", meter: "evaluations", start: "2026-11-19T03:00:00+01:00", count: "500" },
    ],
  } as unknown as Statement;
  const now = Date.parse("2026-11-20T11:30:00+01:00");
  const drawn: Drawn = {
    meter: "evaluations",
    zone,
    now,
    params: new URLSearchParams("customer=acme&after=x"),
    finalUntil: Date.parse("2026-11-20T10:00:00Z"),
    completeUntil: Date.parse("2026-11-20T10:29:50Z"),
  };

  it("of days have what is final, and on it what is not yet", () => {
    const days = daysOf("2026-11-19T00:00:00+01:00", "2026-11-22T00:00:00+01:00", zone);
    const open = [hour("2026-11-20T09:00:00Z", "5", { state: "open", revision: null })];
    const bars = dayBars(days, statement, open, drawn);
    expect(bars.map(({ state }) => state)).toEqual(["settled", "open", "to come"]);
    expect(bars.map(({ parts }) => parts.map(({ size }) => Math.round(size)))).toEqual([
      [30, 0],
      [10, 5],
      [0, 0],
    ]);
    expect(bars[0]?.href).toBe("/billing?customer=acme&from=2026-11-18T23:00:00Z&to=2026-11-19T23:00:00Z");
    expect(bars[2]?.href).toBeUndefined();
  });

  it("of hours tell one that counted nothing from one that is to come", () => {
    const from = Date.parse("2026-11-20T09:00:00Z");
    const bars = hourBars(
      from,
      from + 3 * 3_600_000,
      [hour("2026-11-20T10:00:00Z", "7", { revision: 3 })],
      drawn,
    );
    expect(bars.map(({ says }) => says)).toEqual([
      "10:00: 0, final",
      "11:00: 7, final, revision 3",
      "12:00: to come",
    ]);
  });

  it("of hours without a row are zero only as far as everything is in", () => {
    const from = Date.parse("2026-11-20T07:00:00Z");
    const at = (time: string): number => Date.parse(`2026-11-20T${time}Z`);
    const known = { finalUntil: at("08:00:00"), completeUntil: at("09:20:00") };
    const bars = hourBars(from, from + 5 * 3_600_000, [], { ...drawn, ...known });
    expect(bars.map(({ says, state }) => [says, state])).toEqual([
      ["08:00: 0, final", "settled"],
      ["09:00: 0, not final", "open"],
      ["10:00: 0, not final", "open"],
      ["11:00: not known yet", "unknown"],
      ["12:00: to come", "to come"],
    ]);
    const never = hourBars(from, from + 3_600_000, [], { ...drawn, finalUntil: null, completeUntil: null });
    expect(never.map(({ state }) => state)).toEqual(["unknown"]);
  });

  it("of days of which nothing is in are not known, and no zero", () => {
    const days = daysOf("2026-11-19T00:00:00+01:00", "2026-11-21T00:00:00+01:00", zone);
    const until = { completeUntil: Date.parse("2026-11-19T23:00:10Z"), finalUntil: null };
    const words = (more: Partial<Drawn>, hours: BilledHour[] = []): unknown[] =>
      dayBars(days, null, hours, { ...drawn, ...more }).map(({ says, state }) => [
        says.split(": ")[1],
        state,
      ]);
    expect(words(until)).toEqual([
      ["0, not final", "open"],
      ["0, not final", "open"],
    ]);
    const earlier = { ...until, completeUntil: Date.parse("2026-11-19T23:00:00Z") };
    expect(words(earlier)[1]).toEqual(["not known yet", "unknown"]);
    const open = [hour("2026-11-20T09:00:00Z", "5", { state: "open", revision: null })];
    expect(words(earlier, open)[1]).toEqual(["5, not final", "open"]);
  });
});

describe("hours without rows", () => {
  const page = { from: "", to: "2026-11-20T12:00:00Z", as_of: "", final_until: null, next: null } as const;

  it("counted nothing only as far as everything is in", () => {
    const known = "Nothing was counted in these hours.";
    expect(noRows({ ...page, state: "final", complete_until: null })).toBe(known);
    expect(noRows({ ...page, state: "closing", complete_until: "2026-11-20T12:00:00Z" })).toBe(known);
    expect(noRows({ ...page, state: "open", complete_until: "2026-11-20T11:59:50Z" })).toContain(
      "as far as is known",
    );
    expect(noRows({ ...page, state: "open", complete_until: null })).toContain("as far as is known");
  });
});
