/** From an answer and a delta to the next answer: docs/live.md. Pure. */
import { moment } from "../time/moment";
import { type Delta, DIMENSIONS, type Group, type Usage, type UsageRow } from "./types";

/**
 * The answer that the server has now. It is worked out for each of up to ten thousand rows every second: a time is read
 * once for all rows of a bucket, and nothing is sorted but buckets that are out of order.
 */
export function applied(have: Usage, delta: Delta): Usage {
  const { groups, ...answer } = delta;
  const places = new Map<string, number>();
  for (const group of groups ?? groupsOf(have.rows)) places.set(groupKey(group), places.size);
  const buckets = new Buckets();
  const from = Date.parse(delta.from);
  for (const row of have.rows) {
    const bucket = buckets.of(row.start);
    const place = bucket.at < from ? undefined : places.get(groupKey(row));
    if (place !== undefined) bucket.rows[place] = row;
  }
  for (const row of delta.rows) {
    const key = groupKey(row);
    let place = places.get(key);
    if (place === undefined) {
      place = places.size;
      places.set(key, place);
    }
    buckets.of(row.start).rows[place] = row;
  }
  return { ...answer, rows: buckets.inOrder() };
}

interface Bucket {
  at: number;
  /** By the place of their group. */
  rows: UsageRow[];
}

/** Rows by the start of their bucket. */
class Buckets {
  private readonly byStart = new Map<string, Bucket>();
  private last: { start: string; bucket: Bucket } | null = null;

  of(start: string): Bucket {
    if (this.last?.start === start) return this.last.bucket;
    const bucket = this.byStart.get(start) ?? { at: moment(start), rows: [] };
    this.byStart.set(start, bucket);
    this.last = { start, bucket };
    return bucket;
  }

  inOrder(): UsageRow[] {
    const buckets = [...this.byStart.values()];
    const isOutOfOrder = buckets.some((bucket, place) => bucket.at < (buckets[place - 1]?.at ?? bucket.at));
    if (isOutOfOrder) buckets.sort((a, b) => a.at - b.at);
    const all: UsageRow[] = [];
    // A group that is new in some buckets leaves holes in the others.
    for (const { rows } of buckets) rows.forEach((row) => void all.push(row));
    return all;
  }
}

/** The groups of an answer, in their order: each bucket has a row of each. */
export function groupsOf(rows: readonly UsageRow[]): Group[] {
  const first = rows[0]?.start;
  const last = rows.findIndex((row) => row.start !== first);
  return rows.slice(0, last < 0 ? rows.length : last);
}

/** Tells groups apart: null and "null" are different names, and none can be made to look like two. */
export function groupKey(group: Group): string {
  let key = "";
  for (const dimension of DIMENSIONS) {
    const name = group[dimension];
    key += name === undefined ? "-" : name === null ? "~" : `${name.length}:${name}`;
  }
  return key;
}
