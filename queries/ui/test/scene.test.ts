import { describe, expect, it } from "vitest";
import { OTHER } from "../src/api/types";
import { bucketAt, coloursIn, lastKnown, most, REST, runs, sceneOf, stacked } from "../src/charts/scene";
import { answer, at, NOON } from "./answers";

const LATER = NOON + 3_600_000;

describe("a scene", () => {
  it("has the rows of the answer by group and bucket", () => {
    const scene = sceneOf(answer({ a: [1, 2], b: [3, null], [OTHER]: [5, 6] }), LATER);
    expect(scene.lines.map(({ name, counts, total }) => [name, counts, total])).toEqual([
      ["a", [1, 2], 3],
      ["b", [3, null], 3],
      ["all others", [5, 6], 11],
    ]);
    expect(scene.edges).toEqual([NOON, NOON + 60_000, NOON + 120_000]);
    expect(scene.sums).toEqual([9, 8]);
    expect([most(scene, true), most(scene, false)]).toEqual([9, 6]);
    expect(stacked(scene.lines)).toEqual([
      [1, 2],
      [4, 2],
      [9, 8],
    ]);
  });

  it("keeps what is not known apart from zero", () => {
    const scene = sceneOf(answer({ "": [null, 0, 4] }), LATER);
    expect(scene.states).toEqual(["unknown", "complete", "complete"]);
    expect(scene.sums).toEqual([null, 0, 4]);
    expect(sceneOf(answer({ "": [null, null] }), LATER).lines[0]?.total).toBeNull();
  });

  it("tells what is still to come from a gap", () => {
    const usage = answer(
      { "": [1, null, null, null] },
      { complete_until: at(1), states: ["complete", "unknown", "unknown", "unknown"] },
    );
    // The second bucket ended more than a minute ago: it should be there by now.
    expect(sceneOf(usage, NOON + 3.5 * 60_000).states).toEqual(["complete", "unknown", "to come", "to come"]);
    const behind = answer({ "": [null, null] }, { complete_until: at(2) });
    expect(sceneOf(behind, NOON + 60_000).states).toEqual(["unknown", "unknown"]);
  });

  it("gives the largest a colour each, and the others none of their own", () => {
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, flag) => [`f${flag}`, [20 - flag]]));
    const scene = sceneOf(answer({ ...many, [OTHER]: [1] }), LATER);
    expect(scene.lines.map(({ colour }) => colour)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, ...Array(5).fill(REST)]);
  });

  it("lets groups keep their colours when their order changes", () => {
    const first = sceneOf(answer({ a: [3], b: [2], c: [1] }), LATER);
    const second = sceneOf(answer({ d: [9], c: [3], a: [2] }), LATER, coloursIn(first));
    expect(second.lines.map(({ name, colour }) => [name, colour])).toEqual([
      ["d", 1],
      ["c", 2],
      ["a", 0],
    ]);
  });

  it("compares like with like", () => {
    const usage = answer(
      { a: [10, 1] },
      { before: { a: [8, 8] }, states: ["complete", "open"], complete_until: at(1) },
    );
    const scene = sceneOf(usage, NOON + 70_000);
    expect([scene.change, scene.isPartlyCompared]).toEqual([0.25, true]);
    expect(scene.lines[0]).toMatchObject({ totalBefore: 16, change: 0.25 });
    expect(sceneOf(answer({ a: [1] }), LATER).change).toBeNull();
  });

  it("does not take a name that is missing for one that is called so", () => {
    const usage = answer({ null: [1], x: [2] });
    for (const row of usage.rows) if (row.flag === "x") row.flag = null;
    expect(sceneOf(usage, LATER).lines.map(({ name }) => name)).toEqual(["null", "(none)"]);
  });

  it("of nothing has nothing in it", () => {
    const scene = sceneOf(answer({}), LATER);
    expect([scene.edges, scene.lines, lastKnown(scene)]).toEqual([[], [], -1]);
  });
});

describe("buckets", () => {
  it("are found by any instant in them", () => {
    const edges = [0, 10, 20, 50];
    expect([-5, 0, 9, 10, 49, 50, 99].map((instant) => bucketAt(edges, instant))).toEqual([
      0, 0, 0, 1, 2, 2, 2,
    ]);
    expect(bucketAt([], 3)).toBe(-1);
  });

  it("that are neighbours in the same state are one run", () => {
    const states = ["unknown", "unknown", "complete", "unknown"] as const;
    expect(runs(states, "unknown")).toEqual([
      [0, 1],
      [3, 3],
    ]);
  });
});
