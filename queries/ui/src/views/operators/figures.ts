/** From the figures of a stage to what people read of it. Pure. */
import { digits } from "../../numbers";
import { wall } from "../../time/clock";

export type StageState = "ok" | "late" | "stuck" | "unknown";

/** A number with its name, what people call it, and its unit; null where it is not known. */
export type Figure = { name: string; label: string } & (
  | { unit: "count" | "per_second" | "seconds" | "node"; value: number | null }
  | { unit: "time"; value: string | null }
);

export interface Stage {
  id: string;
  title: string;
  state: StageState;
  says: string | null;
  figures: Figure[];
}

export interface Pipeline {
  at: string;
  complete_until: string | null;
  stages: Stage[];
}

/** What stands in a box: a term and what is known of it. */
export interface Shown {
  name: string;
  label: string;
  value: string;
}

/** Figures that are worth a line only where they are not 0. */
const ONLY_IF_ANY = new Set(["rejected_per_second", "nodes_missing", "nodes_stopped", "dead_letter_counts"]);

/** The figures of a stage, the most telling first; those that belong together are one. */
export function shown(figures: readonly Figure[]): Shown[] {
  const named = new Map(figures.map((figure) => [figure.name, figure]));
  const isTold = (figure: Figure): boolean => {
    const { name, unit, value } = figure;
    if (name.endsWith("_max") || name === "furthest_node_behind") return false;
    // How far it is behind says the same, and can be read at a glance.
    if (unit === "time" && named.has(name.replace(/_until$/, "_behind")) && name.endsWith("_until"))
      return false;
    if (unit === "time" && named.has(`${name}_age`)) return false;
    // The first of none is no instant, which does not mean that it is not known.
    if (name === "dirty_first" && value === null) return false;
    return !ONLY_IF_ANY.has(name) || value !== 0;
  };
  const told = figures.filter(isTold);
  told.sort((a, b) => Number(FIRST.has(b.name)) - Number(FIRST.has(a.name)));
  return told.map((figure) => {
    const max = named.get(`${figure.name}_max`);
    const behind = figure.name === "furthest_node" ? named.get("furthest_node_behind") : undefined;
    const value = [
      text(figure),
      max ? ` of ${text(max)}` : "",
      behind && figure.value !== null ? `, ${text(behind)}` : "",
    ].join("");
    return { name: figure.name, label: LABELS[figure.name] ?? figure.label, value };
  });
}

/** What tells most of its stage, where the API begins with something else. */
const FIRST = new Set(["newest_record_age"]);

/** Where our word is shorter than that of the API and says as much within its stage. */
const LABELS: Record<string, string> = {
  newest_record_age: "age of the newest record",
  complete_behind: "behind",
  closed_behind: "closed hours behind",
};

/** A figure with its unit. */
export function text(figure: Figure): string {
  if (figure.value === null) return "not known";
  if (figure.unit === "time") return wall(figure.value);
  if (figure.unit === "seconds") return duration(figure.value);
  if (figure.unit === "per_second") return rate(figure.value);
  return figure.unit === "node" ? `node ${figure.value}` : digits(figure.value);
}

const few = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

/** Counts per second. */
export function rate(perSecond: number | null): string {
  if (perSecond === null) return "not known";
  return `${perSecond >= 100 ? digits(Math.round(perSecond)) : few.format(perSecond)}/s`;
}

/** A length of time in the unit that fits. */
export function duration(seconds: number): string {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 0.1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${few.format(seconds)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${few.format(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** How it goes in all, in a sentence: the first stage that is not as it should be is the one to look at. */
export function verdict({ stages }: Pipeline): string {
  const wrong = stages.filter(({ state }) => state === "late" || state === "stuck");
  const [first] = wrong;
  if (first) {
    const more = wrong.length > 1 ? `, and ${wrong.length - 1} more after it` : "";
    return `Look at ${first.title.toLowerCase()}: ${first.state}${more}.`;
  }
  const unknown = stages.filter(({ state }) => state === "unknown").map(({ title }) => title.toLowerCase());
  return unknown.length > 0
    ? `Nothing is late. Not known: ${unknown.join(", ")}.`
    : "All is as it should be.";
}

/** Which stages are in another state than before, in words for those who listen. */
export function turns(before: readonly Stage[], after: readonly Stage[]): string[] {
  const had = new Map(before.map(({ id, state }) => [id, state]));
  return after
    .filter(({ id, state }) => had.has(id) && had.get(id) !== state)
    .map(({ title, state, says }) => `${title}: ${state}. ${says ?? ""}`.trim());
}
