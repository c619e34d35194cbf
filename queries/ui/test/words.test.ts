import { describe, expect, it } from "vitest";
import { sceneOf } from "../src/charts/scene";
import {
  bucket,
  comparison,
  completeness,
  count,
  silence,
  summary,
  totalSentence,
} from "../src/charts/words";
import { answer, at, NOON } from "./answers";

const LATER = NOON + 3_600_000;

describe("words", () => {
  it("say what a total is worth", () => {
    expect(totalSentence(sceneOf(answer({ "": [1000, 234] }), LATER))).toBe("1,234 evaluations");
    expect(totalSentence(sceneOf(answer({ "": [1] }), LATER))).toBe("1 evaluation");
    const open = answer({ "": [5] }, { states: ["open"], state: "open" });
    expect(totalSentence(sceneOf(open, NOON))).toBe("5 evaluations so far: still filling");
    const partial = answer({ "": [5, null] }, { state: "partial" });
    expect(totalSentence(sceneOf(partial, LATER))).toBe("at least 5 evaluations: not all is known");
    expect(totalSentence(sceneOf(answer({ "": [null] }), LATER))).toBe("not known");
  });

  it("take nothing from a total because time is still to come", () => {
    const usage = answer({ "": [5, null] }, { state: "partial", complete_until: at(1) });
    expect(totalSentence(sceneOf(usage, NOON + 61_000))).toBe("5 evaluations so far: still filling");
  });

  it("compare with the period before", () => {
    const usage = answer({ "": [10] }, { before: { "": [8] } });
    const previous = { from: at(-1), to: at(0), state: "complete" as const, total: 8 };
    expect(comparison(sceneOf({ ...usage, previous }, LATER))).toMatchObject({ change: "+25%" });
    const unknown = { ...previous, state: "unknown" as const, total: null };
    expect(comparison(sceneOf({ ...usage, previous: unknown }, LATER))?.words).toMatch(/is not known/);
    expect(comparison(sceneOf(usage, LATER))).toBeNull();
  });

  it("say of a bucket what is known of it", () => {
    const scene = sceneOf(answer({ "": [1, 2, null] }, { states: ["partial", "open", "unknown"] }), LATER);
    expect([0, 1, 2].map((bucket) => count(scene, bucket))).toEqual([
      "at least 1 evaluation: not all is known",
      "2 evaluations so far, still filling",
      "not known, which is not zero",
    ]);
  });

  it("tell the hour that comes twice from itself", () => {
    const usage = answer(
      { "": [1, 2] },
      { from: "2026-10-25T02:00:00+02:00", to: "2026-10-25T03:00:00+01:00" },
    );
    usage.rows.forEach((row, hour) => {
      row.start = `2026-10-25T02:00:00+0${2 - hour}:00`;
      row.end = `2026-10-25T0${2 + hour}:00:00+01:00`;
    });
    const scene = sceneOf(usage, LATER);
    expect([0, 1].map((hour) => bucket(scene, hour).replace(/^.*, /, ""))).toEqual([
      "02:00 – 02:00 (+02:00)",
      "02:00 – 03:00 (+01:00)",
    ]);
  });

  it("say until when all is in, and who is silent", () => {
    expect(completeness(answer({ "": [1, 2] }, { complete_until: at(1) }))).toBe("All is in until 12:01:00.");
    expect(completeness(answer({ "": [1] }))).toBe("All is in.");
    expect(completeness(answer({ "": [1, null] }, { state: "partial" }))).toBe("");
    expect(completeness(answer({ "": [1] }, { complete_until: null }))).toBe("Nothing has been counted yet.");
    const missing = [
      { node: 3, region: "eu", since: at(0) },
      { node: 4, since: at(1) },
    ];
    expect(silence(answer({ "": [1] }, { missing_nodes: missing }))).toMatch(
      /^Silent: node 3 in eu since .*12:00, node 4 since .*12:01\. /,
    );
  });

  it("tell those who do not see it all that is to be seen", () => {
    const scene = sceneOf(answer({ a: [1, 9, null], "<b>": [1, 1, null] }, { state: "partial" }), LATER);
    const words = summary(scene);
    for (const part of ["Highest: 10", "\u2068<b>\u2069 2", "Not known, which is not zero: "])
      expect(words).toContain(part);
  });
});
