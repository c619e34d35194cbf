/** Times for questions whose answers stay the same while a test runs. */

const HOUR_MS = 3_600_000;

/** A full hour, so many hours from now, in UTC. */
export function hour(from: number): string {
  return `${new Date(Math.floor(Date.now() / HOUR_MS + from) * HOUR_MS).toISOString().slice(0, 19)}Z`;
}

/** Hours that are over and all of whose counts are in: what is asked of them does not change any more. */
export function settled(hours = 24): { from: string; to: string } {
  return { from: hour(-hours - 1), to: hour(-1) };
}

/** Days that are over, in every zone that is ahead of UTC: a full day of one takes in hours that are not settled. */
export function settledDays(): { from: string; to: string } {
  const day = (before: number): string =>
    new Date(Date.now() - before * 24 * HOUR_MS).toISOString().slice(0, 10);
  return { from: day(2), to: day(0) };
}

/** As a query. */
export function query(params: Record<string, string>): string {
  return new URLSearchParams(params).toString();
}
