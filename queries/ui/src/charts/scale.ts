/** Where counts and instants lie on the axes. Pure. */

/** The steps of the axis of counts: round numbers from 0 to a round one that is not below the largest count. */
export function steps(largest: number, stepsMax: number): number[] {
  const top = Math.max(1, largest);
  let step = 1;
  for (let power = 1; step * stepsMax < top; power *= 10) {
    step = [1, 2, 5].map((factor) => factor * power).find((one) => one * stepsMax >= top) ?? step;
  }
  const count = Math.ceil(top / step);
  return Array.from({ length: count + 1 }, (_, at) => at * step);
}

/** A mark on the axis of time. */
export interface Tick {
  /** The bucket with which it begins. */
  bucket: number;
  label: string;
  /** A day begins, or a month among days, or a year. */
  isMajor: boolean;
}

type Unit = "second" | "minute" | "hour" | "day" | "week" | "month" | "year";
interface Step {
  unit: Unit;
  of: number;
  seconds: number;
}

const SECONDS: Record<Unit, number> = {
  second: 1,
  minute: 60,
  hour: 3_600,
  day: 86_400,
  week: 604_800,
  month: 2_629_746,
  year: 31_556_952,
};
const STEPS: readonly Step[] = (
  [
    ["second", [10, 20, 30]],
    ["minute", [1, 2, 5, 10, 15, 30]],
    ["hour", [1, 2, 3, 6, 12]],
    ["day", [1, 2]],
    ["week", [1]],
    ["day", [14]],
    ["month", [1, 2, 3, 6]],
    ["year", [1, 2, 5, 10, 20]],
  ] as const
).flatMap(([unit, counts]) => counts.map((of) => ({ unit, of, seconds: of * SECONDS[unit] })));

const DAYS = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const MONTHS = new Intl.DateTimeFormat(undefined, { month: "short", timeZone: "UTC" });

/** What the clocks show at a time of the API, which stands in the clocks of the zone. */
interface Local {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

function local(time: string): Local {
  const part = (from: number, to: number): number => Number(time.slice(from, to));
  return {
    year: part(0, 4),
    month: part(5, 7),
    day: part(8, 10),
    hour: part(11, 13),
    minute: part(14, 16),
    second: part(17, 19),
  };
}

/**
 * The marks of a range: where buckets begin at which the clocks of the zone show something round. They are read from
 * the API's own times, so that an hour that comes twice has its mark twice, and none is one that no clock shows.
 */
export function ticks(starts: readonly string[], edges: readonly number[], width: number): Tick[] {
  const from = edges[0];
  const to = edges.at(-1);
  if (from === undefined || to === undefined || to <= from) return [];
  const bucketSeconds = ((edges[1] ?? to) - from) / 1000;
  const seconds = (to - from) / 1000;
  const step =
    STEPS.find(
      (one) =>
        // Months and days are not all of the same length.
        one.seconds * 1.1 >= bucketSeconds && seconds / one.seconds <= width / (one.seconds < 60 ? 80 : 60),
    ) ?? (STEPS.at(-1) as Step);
  const found: Tick[] = [];
  starts.forEach((start, bucket) => {
    const tick = tickAt(step, start, starts[bucket - 1] ?? null);
    if (tick) found.push({ bucket, ...tick });
  });
  const x = (tick: Tick): number => (((edges[tick.bucket] ?? from) - from) / (to - from)) * width;
  return apart(found, x);
}

function tickAt(step: Step, start: string, before: string | null): Omit<Tick, "bucket"> | null {
  const at = local(start);
  const isMidnight = start.slice(11, 19) === "00:00:00";
  const beginsDay = before === null ? isMidnight : before.slice(0, 10) !== start.slice(0, 10);
  const isOfDay = step.seconds < SECONDS.day;
  if (beginsDay) {
    if (isOfDay) return { label: date(at), isMajor: true };
    return isRoundDay(step, at) ? { label: dayLabel(step, at), isMajor: isMajor(step, at) } : null;
  }
  if (!isOfDay || !isRoundClock(step, at)) return null;
  return { label: start.slice(11, step.unit === "second" ? 19 : 16), isMajor: false };
}

function isRoundClock(step: Step, at: Local): boolean {
  if (step.unit === "second") return at.second % step.of === 0;
  if (step.unit === "minute") return at.second === 0 && at.minute % step.of === 0;
  return at.second === 0 && at.minute === 0 && at.hour % step.of === 0;
}

function isRoundDay(step: Step, at: Local): boolean {
  if (step.unit === "week") return new Date(dateOf(at)).getUTCDay() === 1;
  // The 29th and the 31st have none beside the 1st.
  if (step.unit === "day") return step.of === 14 ? at.day === 1 || at.day === 15 : isOdd(step.of, at.day);
  if (at.day !== 1) return false;
  return step.unit === "month" ? (at.month - 1) % step.of === 0 : at.month === 1 && at.year % step.of === 0;
}

function isOdd(of: number, day: number): boolean {
  return (day - 1) % of === 0 && (of === 1 || day < 31);
}

function dayLabel(step: Step, at: Local): string {
  if (step.unit === "year") return String(at.year);
  if (step.unit === "month") return at.month === 1 ? String(at.year) : MONTHS.format(dateOf(at));
  return date(at);
}

function isMajor(step: Step, at: Local): boolean {
  if (step.unit === "year") return false;
  return step.unit === "month" ? at.month === 1 : at.day === 1;
}

function date(at: Local): string {
  return DAYS.format(dateOf(at));
}

function dateOf(at: Local): number {
  return Date.UTC(at.year, at.month - 1, at.day);
}

/** How wide a label is, about, in pixels. */
function half(tick: Tick): number {
  return tick.label.length * 3.4;
}

/** Takes away those whose labels would touch; where something larger begins, the one before goes. */
export function apart(ticks: readonly Tick[], x: (tick: Tick) => number): Tick[] {
  const kept: Tick[] = [];
  const isApart = (before: Tick | undefined, tick: Tick): boolean =>
    !before || x(before) + half(before) + 10 <= x(tick) - half(tick);
  for (const tick of ticks) {
    if (isApart(kept.at(-1), tick)) kept.push(tick);
    else if (tick.isMajor && !kept.at(-1)?.isMajor) {
      kept.pop();
      if (isApart(kept.at(-1), tick)) kept.push(tick);
    }
  }
  return kept;
}
