/** From a statement and the hours that are not final yet to bars: by day, or the hours of a day. Pure. */
import { href } from "../../address";
import type { Bar } from "../../charts/bars";
import { digits } from "../../numbers";
import { clock, day } from "../../time/clock";
import { type BilledHour, greatest, type HourOf, hoursOf, portion } from "./amounts";
import type { Statement } from "./ask";
import { type Day, inZone, utc } from "./days";

interface Sum {
  final: bigint;
  more: bigint;
}

/** What bars are drawn from. */
export interface Drawn {
  meter: string;
  zone: string;
  now: number;
  /** What leads to a day: the address that we have, with the day in it. */
  params: URLSearchParams;
  /** Hours that end by then are final: those without a row counted nothing. */
  finalUntil: number | null;
  /** Everything before this is in. */
  completeUntil: number | null;
}

/** A bar for each day of the period. */
export function dayBars(
  days: readonly Day[],
  statement: Statement | null,
  open: readonly BilledHour[],
  drawn: Drawn,
): Bar[] {
  const sums = new Map<string, Sum>(days.map(({ date }) => [date, { final: 0n, more: 0n }]));
  const withHours = new Set<string>();
  for (const row of statement?.rows ?? []) {
    const sum = sums.get(row.start.slice(0, 10));
    if (sum && row.kind === "usage" && row.meter === drawn.meter) sum.final += BigInt(row.count);
  }
  for (const hour of hoursOf(open, drawn.meter)) {
    const date = inZone(hour.hour, drawn.zone).slice(0, 10);
    const sum = sums.get(date);
    if (!sum) continue;
    if (hour.state === "final") sum.final += hour.count;
    else {
      sum.more += hour.count;
      withHours.add(date);
    }
  }
  const most = greatest([...sums.values()].map(({ final, more }) => final + more));
  const until = statement ? Date.parse(statement.counted_until) : null;
  return days.map((each): Bar => {
    const { date, from, to } = each;
    const sum = sums.get(date) ?? { final: 0n, more: 0n };
    const isFinal = !withHours.has(date) && until !== null && to <= until;
    const { words, state } = dayWords(each, sum.final + sum.more, isFinal, drawn);
    const params = new URLSearchParams(drawn.params);
    params.set("from", utc(from));
    params.set("to", utc(to));
    params.delete("after");
    return {
      label: day(date),
      says: `${day(date)}: ${words}`,
      state,
      parts: sizes([sum.final, sum.more], most),
      ...(state === "to come" ? {} : { href: href("/billing", params) }),
    };
  });
}

/** What is said of a bar, and how certain that is. */
interface Said {
  words: string;
  state: Bar["state"];
}

function dayWords({ from, to }: Day, count: bigint, isFinal: boolean, drawn: Drawn): Said {
  if (from > drawn.now) return { words: "to come", state: "to come" };
  if (isFinal) return { words: `${digits(String(count))}, final`, state: "settled" };
  return count === 0n
    ? withoutRow(from, to, drawn)
    : { words: `${digits(String(count))}, not final`, state: "open" };
}

/** A bar for each hour of a range. */
export function hourBars(from: number, to: number, rows: readonly BilledHour[], drawn: Drawn): Bar[] {
  const hours = new Map(hoursOf(rows, drawn.meter).map((hour) => [Date.parse(hour.hour), hour]));
  const most = greatest([...hours.values()].map(({ count }) => count));
  const bars: Bar[] = [];
  for (let at = from; at < to; at += 3_600_000) bars.push(hourBar(at, hours.get(at), most, drawn));
  return bars;
}

function hourBar(at: number, hour: HourOf | undefined, most: bigint, drawn: Drawn): Bar {
  const label = clock(inZone(at, drawn.zone));
  if (at > drawn.now) return { label, says: `${label}: to come`, state: "to come", parts: [] };
  if (!hour) {
    const { words, state } = withoutRow(at, at + 3_600_000, drawn);
    return { label, says: `${label}: ${words}`, state, parts: [] };
  }
  const isOpen = hour.state !== "final";
  const parts = isOpen ? [0n, hour.count] : [hour.count, 0n];
  return {
    label,
    says: `${label}: ${wordsOf(hour)}`,
    state: isOpen ? "open" : "settled",
    parts: sizes(parts, most),
  };
}

/** What is known of a time in which no row tells of counts: that there were none is known only as far as all is in. */
function withoutRow(from: number, to: number, { finalUntil, completeUntil }: Drawn): Said {
  if (finalUntil !== null && to <= finalUntil) return { words: "0, final", state: "settled" };
  if (completeUntil === null || from >= completeUntil) return { words: "not known yet", state: "unknown" };
  return { words: "0, not final", state: "open" };
}

function wordsOf(hour: HourOf): string {
  const revision = hour.revision !== null && hour.revision > 1 ? `, revision ${hour.revision}` : "";
  return `${digits(String(hour.count))}, ${hour.state}${revision}${hour.isComplete ? "" : ", perhaps not all"}`;
}

/** The final part in the first colour, the rest in another: heights of a picture, which may be rounded. */
function sizes(counts: readonly bigint[], most: bigint): Bar["parts"] {
  return counts.map((count, at) => ({ size: portion(count, most) * Number(most), colour: at === 0 ? 0 : 6 }));
}
