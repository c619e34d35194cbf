/** Ranges of time: presets, closer, farther, along. Pure. */
import type { Change } from "../../address";
import { bucketAt } from "../../charts/scene";
import { offsetSeconds } from "../../time/zone";
import { fits, instant } from "./question";

export interface Preset {
  label: string;
  from: string;
  to: string | null;
}

const RELATIVE = ["1h", "6h", "24h", "7d", "30d", "90d"];
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
/** No closer than this, in milliseconds. */
const SPAN_MIN = 60_000;
/** No farther than this: ten years. */
const SPAN_MAX = 3_653 * 86_400_000;

/** The ranges to choose from, in this zone. */
export function presets(zone: string, now: number): Preset[] {
  return [
    ...relative(),
    { label: "This month", ...month(zone, now, 0) },
    { label: "Last month", ...month(zone, now, -1) },
  ];
}

function relative(): Preset[] {
  return RELATIVE.map((span) => ({ label: span, from: `-${span}`, to: null }));
}

/** A whole month of the zone, as dates: so many after the one that it is now. */
export function month(zone: string, now: number, after: number): { from: string; to: string } {
  const local = new Date(now + offsetSeconds(zone, new Date(now)) * 1000);
  const first = (more: number): string =>
    new Date(Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + after + more, 1))
      .toISOString()
      .slice(0, 10);
  return { from: first(0), to: first(1) };
}

/** Which preset an address has chosen; without any range it is the API's own, a day. */
export function chosen(params: URLSearchParams, zone: string, now: number): Preset | null {
  const from = params.get("from") ?? "-24h";
  const to = params.get("to") || "now";
  // When months begin takes long to know, and is no matter where the range moves along.
  const all = from.startsWith("-") ? relative() : presets(zone, now);
  return all.find((preset) => preset.from === from && (preset.to ?? "now") === to) ?? null;
}

/** The seconds of a length of time such as -24h; null for what is none. */
export function relativeSeconds(from: string): number | null {
  const [, count, unit] = /^-(\d+)([smhdw])$/.exec(from) ?? [];
  return count === undefined || unit === undefined ? null : Number(count) * (UNITS[unit] ?? 0);
}

/** What is seen of an answer: its buckets, whether it moves along with now, and how it was asked for. */
export interface Seen {
  edges: readonly number[];
  params: URLSearchParams;
  now: number;
}

/** The buckets that were picked. */
export function picked(seen: Seen, first: number, last: number): Change | null {
  const from = seen.edges[first];
  const to = seen.edges[last + 1];
  return from === undefined || to === undefined ? null : absolute(seen, from, to);
}

/** Half of the time, around a bucket. */
export function closer(seen: Seen, bucket: number | null): Change | null {
  const [from, to] = ends(seen);
  if (to - from <= SPAN_MIN) return null;
  const span = Math.max(SPAN_MIN, (to - from) / 2);
  const middle = bucket === null ? (from + to) / 2 : middleOf(seen, bucket);
  // The bucket stays where it is in the picture, as far as whole buckets allow.
  const begins = Math.min(to - span, Math.max(from, middle - (middle - from) / 2));
  const aligned = whole(seen, begins, begins + span);
  if (aligned && aligned[1] - aligned[0] < to - from) return absolute(seen, ...aligned);
  const grain = 10_000;
  return absolute(seen, Math.floor(begins / grain) * grain, Math.ceil((begins + span) / grain) * grain);
}

/** Twice the time: what moves along with now goes on to. */
export function farther(seen: Seen): Change | null {
  const [from, to] = ends(seen);
  const span = to - from;
  if (span >= SPAN_MAX) return null;
  const asked = seen.params.get("from") ?? "-24h";
  const seconds = relativeSeconds(asked);
  if (seconds !== null && (seen.params.get("to") ?? "now") === "now")
    return { from: twice(asked), to: null, ...resolution(seen, seconds * 2) };
  const next = Math.min(to + span / 2, Math.max(to, seen.now));
  return absolute(seen, Math.max(0, next - 2 * span), next);
}

/** A quarter of the time earlier or later, not beyond now. */
export function along(seen: Seen, way: -1 | 1): Change | null {
  const [from, to] = ends(seen);
  const buckets = seen.edges.length - 1;
  if (buckets < 1) return null;
  const room = way < 0 ? from : Math.max(0, seen.now - to);
  const step = Math.min((Math.ceil(buckets / 4) * (to - from)) / buckets, room);
  return step > 0 ? absolute(seen, from + way * step, to + way * step) : null;
}

function ends({ edges }: Seen): [number, number] {
  return [edges[0] ?? 0, edges.at(-1) ?? 0];
}

function middleOf({ edges }: Seen, bucket: number): number {
  return ((edges[bucket] ?? 0) + (edges[bucket + 1] ?? edges[bucket] ?? 0)) / 2;
}

/** The whole buckets in which a time lies. */
function whole({ edges }: Seen, from: number, to: number): [number, number] | null {
  const first = edges[bucketAt(edges, from)];
  const last = edges[bucketAt(edges, to - 1) + 1];
  return first === undefined || last === undefined ? null : [first, last];
}

function absolute(seen: Seen, from: number, to: number): Change {
  // Every edge of a bucket is on this grid.
  const grain = 10_000;
  const [begins, ends] = [Math.round(from / grain) * grain, Math.round(to / grain) * grain];
  return { from: instant(begins), to: instant(ends), ...resolution(seen, (ends - begins) / 1000) };
}

/** A resolution that was chosen stays, where the range can be had in it. */
export function resolution({ params }: { params: URLSearchParams }, seconds: number): Change {
  const asked = params.get("resolution");
  return asked && !fits(asked, seconds) ? { resolution: null } : {};
}

function twice(from: string): string {
  const [, count, unit] = /^-(\d+)([smhdw])$/.exec(from) ?? [];
  return `-${Number(count) * 2}${unit}`;
}

/**
 * The instant at which the clocks of a zone show this. Where they show it twice, the first time, or the last for the end
 * of a range; where they never do, the instant to which they jump.
 */
export function atWall(zone: string, wall: string, isEnd: boolean): number | null {
  const shown = Date.parse(`${wall.length === 16 ? `${wall}:00` : wall}Z`);
  if (Number.isNaN(shown)) return null;
  const offset = (at: number): number => offsetSeconds(zone, new Date(at)) * 1000;
  const day = 86_400_000;
  const before = offset(shown - day);
  const found = [before, offset(shown + day)]
    .map((one) => shown - one)
    .filter((at) => at + offset(at) === shown);
  if (found.length === 0) return shown - before;
  return isEnd ? Math.max(...found) : Math.min(...found);
}

/** What the clocks of a zone show, as an input of a form takes it. */
export function wallAt(zone: string, at: number): string {
  return new Date(at + offsetSeconds(zone, new Date(at)) * 1000).toISOString().slice(0, 16);
}
