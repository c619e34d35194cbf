/** Counts as bills have them: decimal strings, added up as whole numbers of any length. Pure. */

/** As much of `whole` as a part of 1, for widths and heights alone: never shown as a number. */
export function portion(count: bigint, whole: bigint): number {
  if (whole <= 0n) return 0;
  return Number((count * 100_000n) / whole) / 100_000;
}

export function sum(counts: readonly string[]): bigint {
  return counts.reduce((all, count) => all + BigInt(count), 0n);
}

/** The greatest of them; 1 where they are less. */
export function greatest(counts: readonly bigint[]): bigint {
  let most = 1n;
  for (const count of counts) if (count > most) most = count;
  return most;
}

/** So far apart are marks, as a part of the whole, that the names of two do not touch on a phone. */
const ROOM = 0.13;

/** Which of these marks, from the left to the right, have room for their names: the last one first. */
export function withRoom(places: readonly number[]): Set<number> {
  const named = new Set<number>();
  let next = Number.POSITIVE_INFINITY;
  for (let at = places.length - 1; at >= 0; at -= 1) {
    const place = places[at] ?? 0;
    if (next - place < ROOM) continue;
    named.add(at);
    next = place;
  }
  return named;
}

/** An hour of a meter, all environments together. */
export interface HourOf {
  hour: string;
  state: "open" | "closing" | "final";
  count: bigint;
  /** The greatest revision among its environments. */
  revision: number | null;
  isComplete: boolean;
}

/** A row of `/v1/billing/hours`. */
export interface BilledHour {
  customer: string;
  project: string;
  environment: string;
  meter: string;
  hour: string;
  state: "open" | "closing" | "final";
  revision: number | null;
  count: string;
  difference: string | null;
  correction: boolean;
  complete: boolean;
  missing_nodes: number[];
  closed_at: string | null;
}

/** What hours come to: of each environment and meter the greatest revision counts. */
export function hoursOf(rows: readonly BilledHour[], meter: string): HourOf[] {
  const latest = new Map<string, BilledHour>();
  for (const row of rows) {
    if (row.meter !== meter) continue;
    const key = JSON.stringify([row.customer, row.project, row.environment, row.hour]);
    const have = latest.get(key);
    if (!have || (row.revision ?? 0) >= (have.revision ?? 0)) latest.set(key, row);
  }
  const hours = new Map<string, HourOf>();
  for (const row of latest.values()) {
    const hour = hours.get(row.hour) ?? {
      hour: row.hour,
      state: row.state,
      count: 0n,
      revision: null,
      isComplete: true,
    };
    hours.set(row.hour, {
      hour: row.hour,
      state: lesser(hour.state, row.state),
      count: hour.count + BigInt(row.count),
      revision: row.revision === null ? hour.revision : Math.max(hour.revision ?? 0, row.revision),
      isComplete: hour.isComplete && row.complete,
    });
  }
  return [...hours.values()].sort((a, b) => a.hour.localeCompare(b.hour));
}

const ORDER = ["open", "closing", "final"] as const;
type State = (typeof ORDER)[number];

function lesser(a: State, b: State): State {
  return ORDER[Math.min(ORDER.indexOf(a), ORDER.indexOf(b))] ?? "open";
}
