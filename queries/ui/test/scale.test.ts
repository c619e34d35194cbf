import { describe, expect, it } from "vitest";
import { apart, steps, ticks } from "../src/charts/scale";

/** Buckets of so many seconds, with the clocks of a zone whose offset changes at an instant. */
function buckets(from: string, count: number, seconds: number, offset: (at: number) => number) {
  const begin = Date.parse(from);
  const edges = Array.from({ length: count + 1 }, (_, at) => begin + at * seconds * 1000);
  const starts = edges.slice(0, -1).map((edge) => {
    const hours = offset(edge);
    return new Date(edge + hours * 3_600_000)
      .toISOString()
      .replace(".000Z", `+${String(hours).padStart(2, "0")}:00`);
  });
  return { starts, edges };
}

const berlin = (at: number): number => (at < Date.parse("2026-10-25T01:00:00Z") ? 2 : 1);

describe("the axis of counts", () => {
  it("goes from 0 in round steps to a round number that is not below the largest", () => {
    expect(steps(0, 5)).toEqual([0, 1]);
    expect(steps(7, 5)).toEqual([0, 2, 4, 6, 8]);
    expect(steps(950, 5)).toEqual([0, 200, 400, 600, 800, 1000]);
    expect(steps(3_400_000, 6)).toEqual([0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]);
    for (const largest of [1, 3, 10, 11, 99, 12_345, 9e15]) {
      const marks = steps(largest, 6);
      expect(marks.at(-1)).toBeGreaterThanOrEqual(largest);
      expect(marks.length).toBeLessThanOrEqual(7);
    }
  });
});

describe("the axis of time", () => {
  const labels = (of: { starts: string[]; edges: number[] }, width: number): string[] =>
    ticks(of.starts, of.edges, width).map(({ label }) => label);

  it("has marks where the clocks of the zone show something round", () => {
    const day = buckets("2026-11-19T23:00:00Z", 96, 900, () => 1);
    expect(labels(day, 560)).toEqual([
      "Nov 20",
      "03:00",
      "06:00",
      "09:00",
      "12:00",
      "15:00",
      "18:00",
      "21:00",
    ]);
    const seconds = buckets("2026-11-20T12:00:00Z", 6, 10, () => 0);
    expect(labels(seconds, 500)[0]).toBe("12:00:00");
    const months = buckets("2026-01-01T00:00:00Z", 365, 86_400, () => 0);
    expect(labels(months, 800)).toEqual([
      "2026",
      ...["Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    ]);
  });

  it("has the hour twice that comes twice, and a day of 25 hours is wider", () => {
    const night = buckets("2026-10-24T22:00:00Z", 24, 900, berlin);
    expect(labels(night, 700)).toEqual(["Oct 25", "01:00", "02:00", "02:00", "03:00", "04:00"]);
    const days = buckets("2026-10-23T22:00:00Z", 73, 3_600, berlin);
    const marks = ticks(days.starts, days.edges, 400).filter(({ isMajor }) => isMajor);
    expect(marks.map(({ bucket }) => bucket)).toEqual([0, 24, 49]);
  });

  it("begins a day where the clocks jump over midnight", () => {
    const starts = ["2026-04-23T22:00:00+02:00", "2026-04-23T23:00:00+02:00", "2026-04-24T01:00:00+03:00"];
    const edges = [20, 21, 22, 23].map((hour) => Date.UTC(2026, 3, 23, hour));
    expect(ticks(starts, edges, 600).map(({ label }) => label)).toEqual(["22:00", "23:00", "Apr 24"]);
  });

  it("leaves out labels that would touch, and rather the smaller ones", () => {
    const at = [
      [0, "23:40", false],
      [20, "23:50", false],
      [60, "20 November", true],
      [110, "00:10", false],
      [200, "00:20", false],
    ] as const;
    const marks = at.map(([bucket, label, isMajor]) => ({ bucket, label, isMajor }));
    const left = (of: typeof marks): string[] => apart(of, ({ bucket }) => bucket).map(({ label }) => label);
    expect(left(marks)).toEqual(["20 November", "00:20"]);
    expect(left(marks.map((mark) => ({ ...mark, isMajor: false })))).toEqual(["23:40", "00:10", "00:20"]);
  });

  it("has no hours where there are only days", () => {
    const days = buckets("2026-11-20T00:00:00Z", 3, 86_400, () => 0);
    expect(labels(days, 900)).toEqual(["Nov 20", "Nov 21", "Nov 22"]);
  });

  const cases = [10, 60, 900, 3_600, 86_400].flatMap((seconds) =>
    [1, 7, 60, 333, 2_000].flatMap((count) =>
      [120, 300, 700, 1_400].map((width) => ({ seconds, count, width })),
    ),
  );

  it.each(cases)("has labels that never touch: $count of $seconds s on $width px", ({
    seconds,
    count,
    width,
  }) => {
    const of = buckets("2026-10-20T21:50:00Z", count, seconds, berlin);
    const marks = ticks(of.starts, of.edges, width);
    marks.slice(1).forEach((after, mark) => {
      const before = marks[mark] ?? after;
      const apart = ((after.bucket - before.bucket) / count) * width;
      expect(apart).toBeGreaterThanOrEqual(((before.label.length + after.label.length) / 2) * 6);
    });
  });
});
