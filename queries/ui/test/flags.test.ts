import { describe, expect, it } from "vitest";
import type { FlagUse } from "../src/api/types";
import { counts, folded, isShown, judge, search } from "../src/views/flags/judge";
import { sorted, sortOf, sortText, turned } from "../src/views/flags/sort";

const NOW = Date.parse("2026-11-20T12:00:00Z");

function use(flag: string, more: Partial<FlagUse> = {}): FlagUse {
  return {
    customer: "acme",
    project: "web",
    flag,
    environments: ["production"],
    first_seen: "2026-01-01T00:00:00Z",
    last_seen: "2026-11-20T11:00:00Z",
    in_registry: true,
    owner: "payments",
    remove_by: null,
    past_removal: false,
    total: 10,
    previous_total: 8,
    change: 0.25,
    trend: [],
    ...more,
  };
}

describe("what is said of a flag", () => {
  it("is stale when it was not evaluated for so long, or never", () => {
    const flags = judge(
      [
        use("old", { last_seen: "2026-10-21T11:59:00Z" }),
        use("just", { last_seen: "2026-10-21T12:00:00Z" }),
        use("never", { last_seen: null }),
      ],
      30,
      NOW,
    );
    expect(flags.map(({ isStale }) => isStale)).toEqual([true, false, true]);
    expect(flags.map(({ isNever }) => isNever)).toEqual([false, false, true]);
  });

  it("is a ghost only where there is a list that does not have it", () => {
    const flags = judge(
      [use("a", { in_registry: false }), use("b", { in_registry: null }), use("c")],
      30,
      NOW,
    );
    expect(flags.map(({ isGhost }) => isGhost)).toEqual([true, false, false]);
  });

  it("lacks an owner only where the server tells of owners", () => {
    const { owner: _, ...silent } = use("a");
    const flags = judge(
      [silent, use("b", { owner: null }), use("c", { owner: null, in_registry: false })],
      30,
      NOW,
    );
    expect(flags.map(({ isWithoutOwner }) => isWithoutOwner)).toEqual([false, true, true]);
  });

  it("is counted for each choice", () => {
    const flags = judge(
      [
        use("a", { past_removal: true }),
        use("b", { last_seen: null, owner: null }),
        use("c", { past_removal: true }),
      ],
      30,
      NOW,
    );
    expect(counts(flags)).toEqual({ all: 3, stale: 1, ghost: 0, past_removal: 2, without_owner: 1 });
    expect(flags.filter((flag) => isShown("past_removal", flag)).map(({ use }) => use.flag)).toEqual([
      "a",
      "c",
    ]);
  });
});

describe("the search", () => {
  it("finds words in any order, whatever their case and script", () => {
    const flags = judge([use("Straße-Neu"), use("购物车结账"), use("ΟΔΟΣ", { project: "mobile" })], 30, NOW);
    const found = (words: string): string[] => search(flags, words).map(({ use }) => use.flag);
    expect(found("STRASSE")).toEqual(["Straße-Neu"]);
    expect(found("结账")).toEqual(["购物车结账"]);
    expect(found("mobile οδος")).toEqual(["ΟΔΟΣ"]);
    expect(found("nothing")).toEqual([]);
    expect(found("  ")).toHaveLength(3);
  });

  it("takes forms of the same letter for the same", () => {
    expect(folded("Ｆlag")).toBe(folded("flag"));
  });
});

describe("the order", () => {
  const flags = judge(
    [
      use("flag-10", { total: 5 }),
      use("flag-9", { total: null }),
      use("flag-2", { total: 0 }),
      use("flag-1", { total: 5 }),
    ],
    30,
    NOW,
  );
  const names = (text: string): string[] => sorted(flags, sortOf(text)).map(({ use }) => use.flag);

  it("has what is not known last, whichever way round", () => {
    expect(names("-total")).toEqual(["flag-1", "flag-10", "flag-2", "flag-9"]);
    expect(names("total")).toEqual(["flag-2", "flag-1", "flag-10", "flag-9"]);
  });

  it("counts numbers in names", () => {
    expect(names("flag")).toEqual(["flag-1", "flag-2", "flag-9", "flag-10"]);
  });

  it("of an address that is not understood is that of totals", () => {
    expect(sortText(sortOf("price"))).toBe("-total");
    expect(sortText(sortOf("-last_seen"))).toBe("-last_seen");
  });

  it("is turned round by a second click, and begins with A or with the greatest", () => {
    expect(sortText(turned(sortOf("-total"), "total"))).toBe("total");
    expect(sortText(turned(sortOf("-total"), "flag"))).toBe("flag");
    expect(sortText(turned(sortOf("flag"), "change"))).toBe("-change");
  });
});
