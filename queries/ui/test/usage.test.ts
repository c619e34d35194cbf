import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/client";
import { addressOf, escaped } from "../src/views/usage/embed-dialog";
import { keptWay, waysOut } from "../src/views/usage/notices";
import { csv, isSame, onlyGroup, question, styleOf } from "../src/views/usage/question";
import {
  along,
  atWall,
  chosen,
  closer,
  farther,
  month,
  picked,
  relativeSeconds,
  wallAt,
} from "../src/views/usage/range";
import { Steps } from "../src/views/usage/steps";
import { answer, at, NOON } from "./answers";

const of = (query: string): URLSearchParams => new URLSearchParams(query);
const asked = (query: string, zone: string | null = null): string =>
  decodeURIComponent(question(of(query), zone).toString());

describe("a question", () => {
  it("has what the API knows, in the order of the API, and no more", () => {
    expect(asked("style=lines&view=table&q=x&from=-1h&sdk=b&flag=a&flag=c")).toBe(
      "from=-1h&flag=a&flag=c&sdk=b",
    );
    expect(asked("group_by=flag&group_by=sdk", "Europe/Berlin")).toBe(
      "tz=Europe/Berlin&group_by=flag,sdk&limit=8",
    );
    expect(asked("group_by=flag&limit=50&compare=previous")).toBe("group_by=flag&limit=50&compare=previous");
  });

  it("has no top without groups, and an empty name where one is meant", () => {
    expect(asked("limit=5")).toBe("");
    expect(asked("variant=")).toBe("variant=");
  });

  it("is the same where only the zone is left to the server that it chose", () => {
    expect(isSame(of("from=-1h"), of("from=-1h&tz=UTC"), "UTC")).toBe(true);
    expect(isSame(of("from=-1h"), of("from=-1h&tz=Asia/Tokyo"), "UTC")).toBe(false);
    expect(isSame(of("from=-1h"), of("from=-2h"), null)).toBe(false);
  });

  it("has a file with the same buckets wherever now is", () => {
    const usage = answer({ a: [1, 2] }, { tz: "Europe/Berlin", from: "2026-11-20T13:00:00+01:00" });
    expect(decodeURIComponent(csv(of("from=-1h&group_by=flag&limit=8"), usage))).toBe(
      `/v1/usage?from=${at(0)}&group_by=flag&limit=8&to=${at(2)}&resolution=1m&tz=Europe/Berlin&format=csv`,
    );
  });

  it("is drawn stacked where groups are told apart", () => {
    expect(
      ["", "group_by=flag", "group_by=flag&style=lines", "view=table&style=lines"].map((q) => styleOf(of(q))),
    ).toEqual(["lines", "stacked", "lines", "table"]);
  });

  it("goes into a group, and tells apart what is finer", () => {
    expect(onlyGroup(of("group_by=flag"), { flag: "a" })).toEqual({
      flag: "a",
      group_by: "variant",
      limit: null,
    });
    expect(onlyGroup(of("group_by=variant,sdk"), { variant: null, sdk: "x" })).toEqual({
      variant: "",
      sdk: "x",
      group_by: null,
      limit: null,
    });
  });
});

describe("a range", () => {
  const edges = Array.from({ length: 61 }, (_, minute) => NOON + minute * 60_000);
  const seen = { edges, params: of("from=-1h"), now: NOON + 59.5 * 60_000 };

  it("is the preset of its address", () => {
    const chosenOf = (asked: string): string | undefined => chosen(of(asked), "Europe/Berlin", NOON)?.label;
    expect(chosenOf("")).toBe("24h");
    expect(chosenOf("from=-7d&to=now")).toBe("7d");
    expect(chosenOf("from=-2h")).toBeUndefined();
    expect(chosenOf("from=2026-10-01&to=2026-11-01")).toBe("Last month");
  });

  it("has the months of the zone", () => {
    const newYear = Date.UTC(2026, 11, 31, 23, 30);
    expect(month("Europe/Berlin", newYear, 0)).toEqual({ from: "2027-01-01", to: "2027-02-01" });
    expect(month("UTC", newYear, 0)).toEqual({ from: "2026-12-01", to: "2027-01-01" });
    expect(month("Europe/Berlin", newYear, -1)).toEqual({ from: "2026-12-01", to: "2027-01-01" });
  });

  it("is that of whole buckets where some were picked", () => {
    expect(picked(seen, 10, 14)).toEqual({ from: at(10), to: at(15) });
    expect(picked({ ...seen, params: of("resolution=1h") }, 10, 14)).toEqual({
      from: at(10),
      to: at(15),
      resolution: null,
    });
  });

  it("comes closer around a bucket, down to a minute", () => {
    expect(closer(seen, 0)).toEqual({ from: at(0), to: at(31) });
    expect(closer(seen, 59)).toEqual({ from: at(29), to: at(60) });
    const one = { ...seen, edges: edges.slice(0, 3) };
    expect(closer(one, 0)).toEqual({ from: at(1 / 6), to: at(4 / 3) });
    expect(closer({ ...seen, edges: edges.slice(0, 2) }, 0)).toBeNull();
  });

  it("goes farther, and stays relative where it was", () => {
    expect(farther(seen)).toEqual({ from: "-2h", to: null });
    expect(farther({ ...seen, params: of("") })).toEqual({ from: "-48h", to: null });
    const fixed = { ...seen, params: of(`from=${at(0)}&to=${at(60)}`) };
    expect(farther({ ...fixed, now: NOON + 1e9 })).toEqual({ from: at(-30), to: at(90) });
    // Not beyond now.
    expect(farther({ ...fixed, now: NOON + 60 * 60_000 })).toEqual({ from: at(-60), to: at(60) });
  });

  it("goes along by a quarter, not beyond now", () => {
    expect(along(seen, -1)).toEqual({ from: at(-15), to: at(45) });
    expect(along(seen, 1)).toBeNull();
    expect(along({ ...seen, now: NOON + 1e9 }, 1)).toEqual({ from: at(15), to: at(75) });
  });

  it("knows lengths of time", () => {
    expect(["-24h", "-90d", "-2w", "2026-11-20", "now"].map(relativeSeconds)).toEqual([
      86_400,
      7_776_000,
      1_209_600,
      null,
      null,
    ]);
  });

  it("is meant by the clocks of the zone, also where they go back or leave out an hour", () => {
    const berlin = (wall: string, isEnd = false): string =>
      new Date(atWall("Europe/Berlin", wall, isEnd) ?? 0).toISOString();
    expect(berlin("2026-11-20T13:00")).toBe("2026-11-20T12:00:00.000Z");
    expect(berlin("2026-10-25T02:30")).toBe("2026-10-25T00:30:00.000Z");
    expect(berlin("2026-10-25T02:30", true)).toBe("2026-10-25T01:30:00.000Z");
    expect(berlin("2026-03-29T02:30")).toBe("2026-03-29T01:30:00.000Z");
    expect(atWall("UTC", "", false)).toBeNull();
    expect(wallAt("Asia/Kathmandu", NOON)).toBe("2026-11-20T17:45");
  });
});

describe("what is no longer kept so fine", () => {
  it("is offered in the finest resolution that the server still has", () => {
    const gone = { resolution: "10s", beyond_retention: "2026-11-12T10:00:00Z" };
    expect(keptWay(answer({ a: [null] }, { ...gone, finest_kept: "1m" }))).toEqual({
      words: "By minute it is still there.",
      label: "Show by minute",
      change: { resolution: "1m" },
    });
    expect(keptWay(answer({ a: [null] }, { ...gone, finest_kept: "15m" }))?.change).toEqual({
      resolution: "15m",
    });
    expect(keptWay(answer({ a: [null] }, gone))).toBeNull();
  });
});

describe("the way back", () => {
  it("leads through what was zoomed, and not out of the view", () => {
    const steps = new Steps();
    steps.come("/usage");
    expect(steps.canGoBack).toBe(false);
    steps.zoom();
    steps.come("/usage?from=a");
    steps.come("/usage?from=a&style=lines");
    expect(steps.canGoBack).toBe(true);
    steps.zoom();
    steps.come("/usage?from=b");
    steps.come("/usage?from=a&style=lines");
    expect(steps.canGoBack).toBe(true);
    steps.come("/usage");
    expect(steps.canGoBack).toBe(false);
  });
});

describe("ways out", () => {
  const labels = (problem: Problem, query: string): string[] =>
    waysOut(problem, of(query)).map(({ label }) => label);

  it("lead to a coarser resolution that one answer holds", () => {
    expect(labels(new Problem(422, "Too many."), "from=-90d&resolution=10s")).toEqual([
      "By 15 minutes",
      "The resolution that fits",
      "The last 24 hours",
    ]);
  });

  it("leave out what is wrong", () => {
    expect(labels(new Problem(400, "No time.", "from"), "from=soon")).toEqual([
      "Without from",
      "The last 24 hours",
    ]);
  });
});

it("writes titles into markup as words", () => {
  expect(escaped('"><script>&')).toBe("&quot;&gt;&lt;script&gt;&amp;");
});

it("says in the address of a shared chart how it is to look", () => {
  const look = { style: "lines", theme: "dark", title: "A & B" };
  expect(addressOf("/embed?link=x.y", look, "https://f.example")).toBe(
    "https://f.example/embed?link=x.y&style=lines&theme=dark&title=A+%26+B",
  );
  expect(addressOf("/embed?link=x&style=stacked", { style: "lines", theme: "" }, "https://f.example")).toBe(
    "https://f.example/embed?link=x&style=stacked",
  );
});
