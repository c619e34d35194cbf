/** What is to be said of a flag, and which flags are asked for. Pure. */
import type { FlagUse } from "../../api/types";

export type Show = "all" | "stale" | "ghost" | "past_removal" | "without_owner";
export const SHOWS: readonly { value: Show; label: string; means: string }[] = [
  { value: "all", label: "All", means: "Every flag." },
  { value: "stale", label: "Stale", means: "Not evaluated for a while, or never." },
  { value: "ghost", label: "Ghosts", means: "Evaluated, but not in the registry." },
  { value: "past_removal", label: "Past removal", means: "Still here after the day it was to be removed." },
  { value: "without_owner", label: "No owner", means: "Nobody is named as the owner." },
];

/** A flag with what is said of it. */
export interface Judged {
  use: FlagUse;
  /** Tells flags apart. */
  key: string;
  /** What the search looks in. */
  text: string;
  /** Its place in the order of names: told once, because comparing names costs. */
  rank: number;
  isNever: boolean;
  isStale: boolean;
  isGhost: boolean;
  isPastRemoval: boolean;
  isWithoutOwner: boolean;
}

/** Numbers in names count as numbers. */
export const NAMES = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

const DAY_MS = 86_400_000;

/** Judges flags: those are stale that were not evaluated in the days before `until`, until when everything is in. */
export function judge(flags: readonly FlagUse[], staleDays: number, until: number): Judged[] {
  const before = until - staleDays * DAY_MS;
  const judged = flags.map((use) => {
    const isNever = use.last_seen === null;
    return {
      use,
      key: `${use.customer}\u0000${use.project}\u0000${use.flag}`,
      text: folded(`${use.flag}\n${use.project}\n${use.customer}\n${use.owner ?? ""}`),
      rank: 0,
      isNever,
      isStale: isNever || Date.parse(use.last_seen ?? "") < before,
      isGhost: use.in_registry === false && !isNever,
      isPastRemoval: use.past_removal === true,
      // A server that tells nothing of owners says neither.
      isWithoutOwner: use.owner === null,
    };
  });
  const byName = (a: Judged, b: Judged): number =>
    NAMES.compare(a.use.flag, b.use.flag) || (a.key < b.key ? -1 : Number(a.key > b.key));
  [...judged].sort(byName).forEach((flag, at) => {
    flag.rank = at;
  });
  return judged;
}

export function isShown(show: Show, flag: Judged): boolean {
  if (show === "stale") return flag.isStale;
  if (show === "ghost") return flag.isGhost;
  if (show === "past_removal") return flag.isPastRemoval;
  if (show === "without_owner") return flag.isWithoutOwner;
  return true;
}

/** How many flags each choice has. */
export function counts(flags: readonly Judged[]): Record<Show, number> {
  const of = (show: Show): number => flags.filter((flag) => isShown(show, flag)).length;
  return {
    all: flags.length,
    stale: of("stale"),
    ghost: of("ghost"),
    past_removal: of("past_removal"),
    without_owner: of("without_owner"),
  };
}

/** Without what does not tell words apart: forms of the same letter, upper and lower case, in any script. */
export function folded(text: string): string {
  return text.normalize("NFKC").toUpperCase().toLowerCase();
}

/** The flags in whose names all the words are. */
export function search(flags: readonly Judged[], words: string): Judged[] {
  const terms = folded(words).split(/\s+/).filter(Boolean);
  return flags.filter((flag) => terms.every((term) => flag.text.includes(term)));
}
