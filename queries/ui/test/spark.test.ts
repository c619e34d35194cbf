import { describe, expect, it } from "vitest";
import { path } from "../src/charts/spark";

describe("a sparkline", () => {
  it("breaks where nothing is known", () => {
    expect(path([1, 2, null, 0, 4]).match(/M/g)).toHaveLength(2);
  });

  it("shows a value between two gaps as a dot", () => {
    expect(path([null, 3, null])).toMatch(/^M[\d.]+ [\d.]+h0\.01$/);
  });

  it("is empty where nothing is known at all, and at the bottom where nothing was counted", () => {
    expect(path([null, null])).toBe("");
    expect(path([0, 0])).toBe("M2.0 25.0L118.0 25.0");
  });

  it("is drawn to the scale of all of its values, also where a part of them is", () => {
    expect(path([4, 2, null], 8)).toBe(path([4, 2, 8]).split("L118")[0]);
  });
});
