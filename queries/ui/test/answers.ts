/** Answers as the API gives them, for tests. */
import type { Dimension, Known, Usage, UsageRow } from "../src/api/types";

export const NOON = Date.UTC(2026, 10, 20, 12);

/** The time so many minutes after noon. */
export function at(minute: number): string {
  return new Date(NOON + minute * 60_000).toISOString().replace(".000", "");
}

/** An answer by the minute: for each group its counts; null is not known. */
export function answer(
  groups: Record<string, (number | null)[]>,
  more: Partial<Usage> & { states?: Known[]; before?: Record<string, (number | null)[]> } = {},
): Usage {
  const { states, before, ...rest } = more;
  const names = Object.keys(groups);
  const buckets = groups[names[0] ?? ""]?.length ?? 0;
  const rows = Array.from({ length: buckets }, (_, bucket) =>
    names.map((flag) => row(flag, bucket, groups, states)),
  ).flat();
  if (before) {
    rows.forEach((row, place) => {
      const bucket = Math.floor(place / names.length);
      const count = before[row.flag ?? ""]?.[bucket] ?? null;
      row.previous = { start: at(bucket - buckets), state: stateOf(count), count };
    });
  }
  const known = rows.map(({ count }) => count).filter((count) => count !== null);
  return {
    meter: "evaluations",
    from: at(0),
    to: at(buckets),
    resolution: "1m",
    tz: "UTC",
    complete_until: at(buckets),
    missing_nodes: [],
    group_by: names.includes("") ? [] : (["flag"] as Dimension[]),
    state: "complete",
    total: known.length > 0 ? known.reduce((sum, count) => sum + count, 0) : null,
    rows,
    ...rest,
  };
}

function row(
  flag: string,
  bucket: number,
  groups: Record<string, (number | null)[]>,
  states: Known[] | undefined,
): UsageRow {
  const count = groups[flag]?.[bucket] ?? null;
  const own = { start: at(bucket), end: at(bucket + 1), state: states?.[bucket] ?? stateOf(count), count };
  return flag === "" ? own : { ...own, flag };
}

function stateOf(count: number | null): Known {
  return count === null ? "unknown" : "complete";
}
