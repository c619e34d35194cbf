/** Times as people read them. The API's times carry the offset of the asked zone: they show that zone's clocks. */

const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const dayYearFormat = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});

/** The day of an RFC 3339 time, by its own clocks. */
export function day(time: string): string {
  const date = new Date(`${time.slice(0, 10)}T00:00:00Z`);
  const isThisYear = time.slice(0, 4) === String(new Date().getUTCFullYear());
  return (isThisYear ? dayFormat : dayYearFormat).format(date);
}

/** Its time of day, with seconds only where there are any. */
export function clock(time: string): string {
  return time.slice(11, 19).replace(/:00$/, "");
}

/** Both. */
export function wall(time: string): string {
  return `${day(time)}, ${clock(time)}`;
}

/** From one time to another, the day said once. */
export function span(from: string, to: string): string {
  const isSameDay = from.slice(0, 10) === to.slice(0, 10);
  return `${wall(from)} – ${isSameDay ? clock(to) : wall(to)}`;
}

/** How long ago, in the largest unit that fits. */
export function ago(time: string, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}
