/** From an answer of `/v1/usage` to what is drawn: the same rows, so that a picture says what the numbers say. Pure. */
import { groupKey, groupsOf } from "../api/delta";
import { type Group, type Known, OTHER, type Usage } from "../api/types";
import { moment } from "../time/moment";

/** What is known of a bucket, as it is drawn. */
export type Shown = Known | "to come";

/** Groups that have a colour of their own, at most: more cannot be told apart. */
export const COLOURS = 8;
/** The colour of all others, and of those that have none of their own. */
export const REST = -1;

/** For so long after its end a bucket of which nothing is known is not there yet; after that it is a gap. */
const GRACE_MS = 60_000;

/** The counts of a group. */
export interface Line {
  key: string;
  group: Group;
  name: string;
  /** All that is beyond the limit. */
  isRest: boolean;
  /** Which of the colours; [`REST`] for none of its own. */
  colour: number;
  /** One for each bucket; null where nothing is known. */
  counts: (number | null)[];
  total: number | null;
  /** Those of the range before, position by position; empty where it is not compared with. */
  before: (number | null)[];
  totalBefore: number | null;
  /** How much more or less it is than before, where both are known; null where that cannot be said. */
  change: number | null;
}

/** What is drawn. */
export interface Scene {
  usage: Usage;
  /** In milliseconds; one more than there are buckets. */
  edges: number[];
  /** Start and end of each bucket, by the clocks of the zone. */
  starts: string[];
  ends: string[];
  states: Shown[];
  /** By total, the rest last; never empty where there are buckets. */
  lines: Line[];
  isGrouped: boolean;
  /** All groups added up. */
  sums: (number | null)[];
  sumsBefore: (number | null)[];
  /** When the buckets of the range before began, where it is compared with. */
  startsBefore: string[];
  /** As of a line, for all of them. */
  change: number | null;
  /** Whether there are buckets that cannot be compared: one is not complete, or what was before is not known. */
  isPartlyCompared: boolean;
  completeUntil: number | null;
}

/** Which group has which colour, by its key. */
export type Colours = ReadonlyMap<string, number>;

/** Lays out an answer. Groups keep the colours that they have. */
export function sceneOf(usage: Usage, now: number, have: Colours = new Map()): Scene {
  const groups = groupsOf(usage.rows);
  const width = Math.max(1, groups.length);
  const buckets = Math.floor(usage.rows.length / width);
  const completeUntil = usage.complete_until === null ? null : Date.parse(usage.complete_until);
  const lines = groups.map((group) => emptyLine(usage, group));
  const scene: Scene = {
    usage,
    edges: [],
    starts: [],
    ends: [],
    states: [],
    lines,
    isGrouped: usage.group_by.length > 0,
    sums: [],
    sumsBefore: [],
    startsBefore: [],
    change: null,
    isPartlyCompared: false,
    completeUntil,
  };
  for (let bucket = 0; bucket < buckets; bucket += 1) addBucket(scene, bucket * width, now);
  if (buckets > 0) scene.edges.push(moment(scene.ends[buckets - 1] ?? usage.to));
  for (const line of lines) {
    line.total = sum(line.counts);
    line.totalBefore = sum(line.before);
    line.change = change(scene.states, line.counts, line.before);
  }
  scene.change = change(scene.states, scene.sums, scene.sumsBefore);
  scene.isPartlyCompared = scene.states.some(
    (state, at) => state !== "complete" || (scene.sumsBefore[at] ?? null) === null,
  );
  const colours = coloursOf(lines, have);
  for (const line of lines) line.colour = colours.get(line.key) ?? REST;
  return scene;
}

/** The colours of a scene, for the next one. */
export function coloursIn(scene: Scene): Colours {
  return new Map(scene.lines.filter(({ colour }) => colour !== REST).map(({ key, colour }) => [key, colour]));
}

function emptyLine(usage: Usage, group: Group): Line {
  const parts = usage.group_by.map((dimension) => group[dimension] ?? null);
  const isRest = parts.length > 0 && parts.every((part) => part === OTHER);
  const name =
    parts.length === 0
      ? usage.meter
      : isRest
        ? "all others"
        : parts.map((part) => (part === null || part === "" ? "(none)" : part)).join(" · ");
  const line = {
    name,
    isRest,
    colour: REST,
    counts: [],
    total: null,
    before: [],
    totalBefore: null,
    change: null,
  };
  const own = Object.fromEntries(usage.group_by.map((dimension) => [dimension, group[dimension] ?? null]));
  return { key: groupKey(own), group: own, ...line };
}

function addBucket(scene: Scene, first: number, now: number): void {
  const row = scene.usage.rows[first];
  if (!row) return;
  scene.starts.push(row.start);
  scene.ends.push(row.end);
  const start = moment(row.start);
  scene.edges.push(start);
  const isToCome =
    row.state === "unknown" &&
    (scene.completeUntil === null || scene.completeUntil <= start) &&
    now < moment(row.end) + GRACE_MS;
  scene.states.push(isToCome ? "to come" : row.state);
  let all: number | null = null;
  let before: number | null = null;
  scene.lines.forEach((line, at) => {
    const cell = scene.usage.rows[first + at];
    const count = cell?.count ?? null;
    line.counts.push(count);
    if (count !== null) all = (all ?? 0) + count;
    if (!cell?.previous) return;
    line.before.push(cell.previous.count);
    if (cell.previous.count !== null) before = (before ?? 0) + cell.previous.count;
  });
  scene.sums.push(all);
  if (!row.previous) return;
  scene.sumsBefore.push(before);
  scene.startsBefore.push(row.previous.start);
}

/** What is known of them, added up; null where nothing is. */
export function sum(counts: readonly (number | null)[]): number | null {
  let all: number | null = null;
  for (const count of counts) if (count !== null) all = (all ?? 0) + count;
  return all;
}

/** Like is compared with like: a bucket that is still filling is not less than the one before. */
function change(
  states: readonly Shown[],
  counts: readonly (number | null)[],
  before: readonly (number | null)[],
): number | null {
  let [now, then] = [0, 0];
  states.forEach((state, at) => {
    const [count, other] = [counts[at] ?? null, before[at] ?? null];
    if (state !== "complete" || count === null || other === null) return;
    now += count;
    then += other;
  });
  return then > 0 ? (now - then) / then : null;
}

/** The largest have a colour each, and keep it as long as they are among them. */
function coloursOf(lines: readonly Line[], have: Colours): Colours {
  const named = lines.filter(({ isRest }) => !isRest).slice(0, COLOURS);
  const colours = new Map<string, number>();
  for (const { key } of named) {
    const colour = have.get(key);
    if (colour !== undefined) colours.set(key, colour);
  }
  const taken = new Set(colours.values());
  let next = 0;
  for (const { key } of named) {
    if (colours.has(key)) continue;
    while (taken.has(next)) next += 1;
    colours.set(key, next);
    taken.add(next);
  }
  return colours;
}

/** Counts that stand on each other: the top of each line's bar in each bucket, the first line below. */
export function stacked(lines: readonly Line[]): number[][] {
  let below: number[] = [];
  return lines.map((line) => {
    below = line.counts.map((count, bucket) => (below[bucket] ?? 0) + (count ?? 0));
    return below;
  });
}

/** The largest count that is drawn. */
export function most(scene: Scene, isStacked: boolean): number {
  const all = isStacked
    ? [scene.sums, scene.sumsBefore]
    : scene.lines.flatMap(({ counts, before }) => [counts, before]);
  let largest = 0;
  for (const counts of all) for (const count of counts) largest = Math.max(largest, count ?? 0);
  return largest;
}

/** Neighbouring buckets that are in the same state, as first and last. */
export function runs(states: readonly Shown[], of: Shown): [number, number][] {
  const found: [number, number][] = [];
  states.forEach((state, at) => {
    if (state !== of) return;
    const last = found.at(-1);
    if (last && last[1] + 1 === at) last[1] = at;
    else found.push([at, at]);
  });
  return found;
}

/** The bucket in which an instant lies; the nearest one for those outside. -1 where there are none. */
export function bucketAt(edges: readonly number[], at: number): number {
  let low = 0;
  let high = edges.length - 2;
  if (high < 0) return -1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((edges[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The last bucket of which something is known. */
export function lastKnown(scene: Scene): number {
  for (let at = scene.states.length - 1; at >= 0; at -= 1) {
    if (scene.sums[at] !== null && scene.states[at] !== "to come") return at;
  }
  return -1;
}
