/** Bursts and drops in a chart: where they lie, and what they say. Pure. */
import type { Mark } from "../api/marks";
import { digits } from "../numbers";
import { span, wall } from "../time/clock";

/** A triangle that points up for a burst and down for a drop: nobody needs colours to tell them apart. */
export const SIGNS = { burst: "▲", drop: "▼" } as const;

/** Where a mark lies, in milliseconds, cut to what is shown. */
export interface Placed {
  mark: Mark;
  from: number;
  to: number;
}

/** Those of which something lies in a range. What goes on ends now. */
export function placed(marks: readonly Mark[], [from, to]: readonly [number, number], now: number): Placed[] {
  return marks.flatMap((mark) => {
    const since = Date.parse(mark.since);
    const until = mark.until === null ? Math.max(now, since) : Date.parse(mark.until);
    if (since >= to || until < from) return [];
    return [{ mark, from: Math.max(since, from), to: Math.min(until, to) }];
  });
}

/** A triangle, and the marks that it stands for: those that are nearer to each other than `apart` are one. */
export interface Top {
  kind: Mark["kind"];
  x: number;
}

/** Triangles in the middle of what they stand for. */
export function tops(places: readonly Placed[], x: (at: number) => number, apart: number): Top[] {
  const found: Top[] = [];
  for (const { mark, from, to } of places) {
    const middle = (x(from) + x(to)) / 2;
    if (!found.some((top) => top.kind === mark.kind && Math.abs(top.x - middle) < apart))
      found.push({ kind: mark.kind, x: middle });
  }
  return found;
}

/** What it is of, from the largest to the smallest. */
export function whose(mark: Mark, isOwn: boolean): string[] {
  const parts = [isOwn ? null : mark.customer, mark.project, mark.environment, mark.flag];
  return parts.filter((part): part is string => typeof part === "string");
}

/** How much it is. */
export function howMuch({ kind, ratio }: Mark): string {
  if (kind === "drop") return `down to ${digits(Math.round(ratio * 100))} % of what is expected`;
  // From ten on a tenth says nothing.
  const times = ratio < 9.95 ? ratio.toFixed(1) : digits(Math.round(ratio));
  return `up to ${times} times what is expected`;
}

/** From when to when. */
export function during({ since, until }: Mark): string {
  return until === null ? `since ${wall(since)}` : span(since, until);
}

/** All of it in words. */
export function words(mark: Mark, isOwn: boolean): string {
  const what = mark.kind === "burst" ? "Burst" : "Drop";
  const parts = whose(mark, isOwn);
  const of = parts.length > 0 ? ` of ${parts.map((part) => `\u2068${part}\u2069`).join(" › ")}` : "";
  const besides = [mark.learning && "still learning", mark.muted && "muted"].filter((word) => word);
  return [`${what}${of}: ${howMuch(mark)}`, during(mark), ...besides].join(", ");
}
