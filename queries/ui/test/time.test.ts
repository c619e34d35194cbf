import { describe, expect, it } from "vitest";
import { ago, clock, span } from "../src/time/clock";
import { offsetSeconds } from "../src/time/zone";

describe("time", () => {
  it("shows the clocks of the zone that the API was asked for", () => {
    expect(clock("2026-10-25T02:30:00+01:00")).toBe("02:30");
    expect(clock("2026-10-25T02:30:10+02:00")).toBe("02:30:10");
    expect(span("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00")).toMatch(/02:00 – 02:00$/);
  });

  it("knows the offset of zones before and after a change of the clocks, and off the full hour", () => {
    expect(offsetSeconds("Europe/Berlin", new Date("2026-10-25T00:59:59Z"))).toBe(7200);
    expect(offsetSeconds("Europe/Berlin", new Date("2026-10-25T01:00:00Z"))).toBe(3600);
    expect(offsetSeconds("Asia/Kolkata", new Date("2026-10-25T01:00:00.500Z"))).toBe(19_800);
  });

  it("says how long ago in one unit", () => {
    const now = Date.parse("2026-11-20T12:00:00Z");
    expect(ago("2026-11-20T11:59:48Z", now)).toBe("12 s ago");
    expect(ago("2026-11-20T13:00:00+02:00", now)).toBe("1 h ago");
    expect(ago("2026-11-20T12:00:05Z", now)).toBe("0 s ago");
  });
});
