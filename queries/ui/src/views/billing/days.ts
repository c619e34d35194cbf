/** Days and periods of a bill, in its own zone. Pure. */
import { offsetSeconds } from "../../time/zone";

/** A time as the clocks of a zone show it, in RFC 3339 with its offset. */
export function inZone(time: string | number, zone: string): string {
  const at = new Date(time);
  const ahead = offsetSeconds(zone, at);
  const wall = new Date(at.getTime() + ahead * 1000).toISOString().slice(0, 19);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
  const size = Math.abs(ahead);
  return `${wall}${ahead < 0 ? "-" : "+"}${two(size / 3600)}:${two((size % 3600) / 60)}`;
}

/** A day: its date, and its first instant and the one after its last. */
export interface Day {
  date: string;
  from: number;
  to: number;
}

const DAY_MS = 86_400_000;

/** The days from one instant to another, both midnights of the zone. Those on which clocks change are 23 or 25 hours long. */
export function daysOf(from: string, to: string, zone: string): Day[] {
  const end = Date.parse(to);
  const days: Day[] = [];
  let start = Date.parse(from);
  while (start < end) {
    const date = inZone(start, zone).slice(0, 10);
    const next = Math.min(end, midnight(Date.parse(`${date}T00:00:00Z`) + DAY_MS, zone));
    if (next <= start) break;
    days.push({ date, from: start, to: next });
    start = next;
  }
  return days;
}

/** The instant at which a zone's clocks show this; given as if the zone were UTC. */
function midnight(wall: number, zone: string): number {
  const guess = wall - offsetSeconds(zone, new Date(wall)) * 1000;
  return wall - offsetSeconds(zone, new Date(guess)) * 1000;
}

/** A time in UTC to the second, as parameters of the API have it. */
export function utc(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The month in which a period begins, and those before it, the last one first. */
export function periodsBefore(from: string, count: number): string[] {
  const year = Number(from.slice(0, 4));
  const month = Number(from.slice(5, 7));
  return Array.from({ length: count }, (_, back) => {
    const at = new Date(Date.UTC(year, month - 1 - back, 1));
    return at.toISOString().slice(0, 7);
  });
}

const months = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

/** A period in words: November 2026. */
export function periodName(period: string): string {
  return months.format(new Date(`${period}-01T00:00:00Z`));
}
