/** Numbers as people read them. What is not known is said, and never a number. */

const whole = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const percents = new Intl.NumberFormat(undefined, {
  style: "percent",
  maximumFractionDigits: 1,
  signDisplay: "exceptZero",
});

/** All its digits; decimal strings of the API keep theirs, however many. */
export function digits(count: number | string | null): string {
  if (count === null) return "not known";
  return typeof count === "string" ? whole.format(BigInt(count)) : whole.format(count);
}

/** Short, for axes and tight places. */
export function short(count: number | null): string {
  return count === null ? "not known" : compact.format(count);
}

const parts = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });

/** A part of all: 12 %. */
export function percent(part: number): string {
  return parts.format(part);
}

/** A change as a share: +12 %. */
export function growth(change: number | null): string {
  return change === null ? "–" : percents.format(change);
}
