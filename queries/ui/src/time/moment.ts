/** Times of the API as numbers. The same few thousand are asked for again with each answer, every second. */

/** More than two answers have. */
const KEPT_MAX = 25_000;
const kept = new Map<string, number>();

/** In milliseconds. */
export function moment(time: string): number {
  const have = kept.get(time);
  if (have !== undefined) return have;
  if (kept.size >= KEPT_MAX) kept.clear();
  const at = Date.parse(time);
  kept.set(time, at);
  return at;
}
