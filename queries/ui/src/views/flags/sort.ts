/** In what order flags stand. Pure. */
import { type Judged, NAMES } from "./judge";

export const SORTS = [
  "flag",
  "project",
  "owner",
  "environments",
  "total",
  "change",
  "first_seen",
  "last_seen",
] as const;
export type SortBy = (typeof SORTS)[number];

export interface Sort {
  by: SortBy;
  isDown: boolean;
}

/** Of an address: `total`, or `-total` for the greatest first. What is not understood is the order of totals. */
export function sortOf(text: string | null): Sort {
  const isDown = text?.startsWith("-") ?? false;
  const by = SORTS.find((one) => one === (isDown ? text?.slice(1) : text));
  return by ? { by, isDown } : { by: "total", isDown: true };
}

export function sortText({ by, isDown }: Sort): string {
  return isDown ? `-${by}` : by;
}

/** What a click on a column asks for: names begin with A, numbers and times with the greatest; again turns it round. */
export function turned(sort: Sort, by: SortBy): Sort {
  if (sort.by === by) return { by, isDown: !sort.isDown };
  return { by, isDown: by !== "flag" && by !== "project" && by !== "owner" };
}

/** The flags in this order. What is not known stands last, whichever way round. */
export function sorted(flags: readonly Judged[], { by, isDown }: Sort): Judged[] {
  const keyed = flags.map((flag) => ({ flag, key: keyOf(flag, by) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) {
      return Number(a.key === null) - Number(b.key === null) || a.flag.rank - b.flag.rank;
    }
    const order = typeof a.key === "string" ? NAMES.compare(a.key, String(b.key)) : a.key - Number(b.key);
    return (isDown ? -order : order) || a.flag.rank - b.flag.rank;
  });
  return keyed.map(({ flag }) => flag);
}

function keyOf({ use, rank }: Judged, by: SortBy): string | number | null {
  const time = (text: string | null): number | null => (text === null ? null : Date.parse(text));
  if (by === "flag") return rank;
  if (by === "project") return `${use.customer} ${use.project}`;
  if (by === "owner") return use.owner ?? null;
  if (by === "environments") return use.environments.length;
  if (by === "total") return use.total;
  if (by === "change") return use.change;
  return time(by === "first_seen" ? use.first_seen : use.last_seen);
}
