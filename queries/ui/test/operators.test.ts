import { describe, expect, it } from "vitest";
import { balance, type Fates } from "../src/views/operators/fates";
import {
  duration,
  type Figure,
  type Pipeline,
  rate,
  type Stage,
  shown,
  turns,
  verdict,
} from "../src/views/operators/figures";
import { type Mute, mutedBy, standing } from "../src/views/operators/mutes";
import {
  askedBy,
  type CustomerLine,
  ordered,
  sortOf,
  sortText,
  turned,
} from "../src/views/operators/top-order";

const count = (name: string, value: number | null): Figure => ({ name, label: name, unit: "count", value });
const seconds = (name: string, value: number | null): Figure => ({
  name,
  label: name,
  unit: "seconds",
  value,
});

function stage(id: string, state: Stage["state"]): Stage {
  return { id, title: id, state, says: state === "ok" ? null : `${id} is ${state}`, figures: [] };
}

describe("the figures of a stage", () => {
  it("say what belongs together in one", () => {
    const figures: Figure[] = [
      count("live_viewers", 4),
      count("live_viewers_max", 5000),
      { name: "furthest_node", label: "furthest behind", unit: "node", value: 3 },
      seconds("furthest_node_behind", 2.25),
    ];
    expect(shown(figures).map(({ value }) => value)).toEqual(["4 of 5,000", "node 3, 2.3 s"]);
  });

  it("leave out what is 0 and matters only where it is not, and keep what is not known", () => {
    const names = (value: number | null): string[] =>
      shown([count("nodes_missing", value), count("nodes_live", value)]).map(({ name }) => name);
    expect(names(0)).toEqual(["nodes_live"]);
    expect(names(2)).toEqual(["nodes_missing", "nodes_live"]);
    expect(names(null)).toEqual(["nodes_missing", "nodes_live"]);
    expect(shown([count("nodes_live", null)])[0]?.value).toBe("not known");
    expect(shown([{ name: "dirty_first", label: "", unit: "time", value: null }])).toEqual([]);
  });

  it("say how far behind, and not until when as well", () => {
    const until: Figure = { name: "hours_until", label: "", unit: "time", value: "2026-11-20T12:00:00Z" };
    expect(shown([until, seconds("hours_behind", 3_000)]).map(({ value }) => value)).toEqual(["50 min"]);
    expect(shown([until])).toHaveLength(1);
  });

  it("have their units", () => {
    expect([0, 0.094, 0.369, 50.4, 650, 9_000, 400_000].map(duration)).toEqual([
      "< 1 ms",
      "94 ms",
      "0.4 s",
      "50 s",
      "11 min",
      "2.5 h",
      "5 days",
    ]);
    expect([null, 0, 12.34, 5_696.85].map(rate)).toEqual(["not known", "0/s", "12.3/s", "5,697/s"]);
  });
});

describe("how it goes", () => {
  const pipeline = (...stages: Stage[]): Pipeline => ({ at: "", complete_until: null, stages });

  it("names the first stage that is not as it should be", () => {
    const of = pipeline(
      stage("Edges", "ok"),
      stage("Ingest", "late"),
      stage("Store", "unknown"),
      stage("Queries", "stuck"),
    );
    expect(verdict(of)).toBe("Look at ingest: late, and 1 more after it.");
    expect(verdict(pipeline(stage("Edges", "ok"), stage("Ledger", "unknown")))).toBe(
      "Nothing is late. Not known: ledger.",
    );
  });

  it("is announced where it turns, and not when it is first seen", () => {
    expect(turns([], [stage("Edges", "late")])).toEqual([]);
    expect(turns([stage("Edges", "ok")], [stage("Edges", "late")])).toEqual(["Edges: late. Edges is late"]);
    expect(turns([stage("Edges", "late")], [stage("Edges", "late")])).toEqual([]);
  });
});

describe("the top", () => {
  const line = (customer: string, rate: number | null, change: number | null): CustomerLine => ({
    customer,
    rate,
    rate_before: null,
    difference: null,
    change,
    hour_total: null,
    sparkline: [],
  });
  const lines = [line("b", 1, null), line("a", null, 0.5), line("c", 3, -0.9)];
  const names = (sort: string): string =>
    ordered(lines, sortOf(sort))
      .map(({ customer }) => customer)
      .join("");

  it("has what is not known last, whichever way round", () => {
    expect([names("-rate"), names("rate"), names("customer"), names("change")]).toEqual([
      "cba",
      "bca",
      "abc",
      "cab",
    ]);
  });

  it("asks for those who change most where changes are looked at", () => {
    expect(
      ["rate", "-difference", "change", "customer", "nonsense"].map((text) => askedBy(sortOf(text))),
    ).toEqual(["rate", "change", "change", "rate", "rate"]);
    expect(sortText(turned(sortOf("-rate"), "customer"))).toBe("customer");
  });
});

describe("fates", () => {
  const fates = (more: Partial<Fates>): Fates => ({
    customer: "acme",
    received: 10,
    stored: { total: 10 },
    duplicate: 0,
    rejected: { total: 0, by_reason: {} },
    in_flight: 0,
    difference: 0,
    balanced: true,
    ...more,
  });

  it("are balanced, or not, or it cannot be told yet, and why", () => {
    expect(balance(fates({}), true).says).toBe("balanced");
    expect(balance(fates({ balanced: false, difference: 2 }), true)).toEqual({
      as: "stuck",
      says: "differs by 2",
    });
    expect(balance(fates({ balanced: null, in_flight: 3 }), true).says).toMatch(/in flight/);
    expect(balance(fates({ balanced: null }), false).says).toMatch(/while counts came in/);
    expect(balance(fates({ balanced: null, in_flight: null }), true).says).toMatch(/not known/);
  });
});

describe("planned mutes", () => {
  const mute = (id: string, state: Mute["state"], from: string, until: string): Mute => ({
    id,
    customer: "acme",
    project: null,
    environment: null,
    state,
    from,
    until,
    reason: "launch",
    made_by: "0123456789ab",
  });

  it("stand by when they are over, and then by when they begin", () => {
    const active = [
      mute("long", "active", "2026-11-20T00:00:00Z", "2026-11-24T00:00:00Z"),
      mute("short", "active", "2026-11-20T01:00:00Z", "2026-11-20T02:00:00.500Z"),
    ];
    const planned = [
      mute("later", "planned", "2026-11-25T00:00:00Z", "2026-11-26T00:00:00Z"),
      mute("next", "planned", "2026-11-24T00:00:00Z", "2026-11-28T00:00:00Z"),
    ];
    expect(standing(active, planned).map(({ id }) => id)).toEqual(["short", "long", "next", "later"]);
    // It has begun since those to come were told.
    const began = mute("long", "planned", "2026-11-20T00:00:00Z", "2026-11-24T00:00:00Z");
    const both = standing(active, [began, ...planned]);
    expect(both.map(({ id, state }) => `${id} ${state}`).slice(0, 3)).toEqual([
      "short active",
      "long active",
      "next planned",
    ]);
  });

  it("say until when and why, as far as they are known", () => {
    const active = mute("a", "active", "2026-11-20T00:00:00Z", "2026-11-20T14:40:00Z");
    expect(mutedBy(active)).toMatch(/^muted until .*, 14:40 UTC: launch$/);
    expect(mutedBy(undefined)).toBe("muted");
  });
});
