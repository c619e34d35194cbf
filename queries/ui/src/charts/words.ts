/** What a chart says in words: beside it, and to those who do not see it. Pure. */
import type { Usage } from "../api/types";
import { digits, growth } from "../numbers";
import { clock, day, span, wall } from "../time/clock";
import { runs, type Scene, type Shown } from "./scene";

/** So many spans of a state are told one by one. */
const SPANS_MAX = 4;

export const STATES: Record<Shown, string> = {
  complete: "complete",
  open: "still filling",
  partial: "partial: not all is known",
  unknown: "not known, which is not zero",
  "to come": "not there yet",
};

/** How long the buckets of a resolution are. */
export function bucketWords(resolution: string): string {
  const words: Record<string, string> = {
    "10s": "10 seconds",
    "1m": "minute",
    "15m": "15 minutes",
    "1h": "hour",
    "1d": "day",
    "1mo": "month",
  };
  return words[resolution] ?? resolution;
}

/** The total, with what it is worth before and after its digits. */
export interface Total {
  before: string;
  figure: string;
  after: string;
}

/** The total of an answer. A bucket that is still to come takes nothing from it; one that is not known does. */
export function total(scene: Scene): Total {
  const { usage } = scene;
  const meter = usage.total === 1 ? usage.meter.replace(/s$/, "") : usage.meter;
  if (usage.total === null) {
    const isToCome = scene.states.length > 0 && scene.states.every((state) => state === "to come");
    return { before: "", figure: isToCome ? "not there yet" : "not known", after: "" };
  }
  const figure = digits(usage.total);
  if (usage.state === "complete") return { before: "", figure, after: meter };
  if (usage.state === "open" || !scene.states.some(isMissing))
    return { before: "", figure, after: `${meter} so far: still filling` };
  return { before: "at least", figure, after: `${meter}: not all is known` };
}

function isMissing(state: Shown): boolean {
  return state === "unknown" || state === "partial";
}

/** The total as a sentence. */
export function totalSentence(scene: Scene): string {
  const { before, figure, after } = total(scene);
  return [before, figure, after].filter(Boolean).join(" ");
}

/** The period before, and how much more or less there is now. */
export function comparison(scene: Scene): { change: string; words: string } | null {
  const before = scene.usage.previous;
  if (!before) return null;
  const when = range(scene.usage.resolution, before.from, before.to);
  if (before.total === null) return { change: "", words: `the period before is not known (${when})` };
  const least = before.state === "complete" ? "" : "at least ";
  const all = `${least}${digits(before.total)} before (${when})`;
  if (scene.change === null) return { change: "", words: all };
  return {
    change: growth(scene.change),
    words: scene.isPartlyCompared ? `where all is in · ${all}` : `against ${all}`,
  };
}

/** A range as its buckets are counted. */
export function range(resolution: string, from: string, to: string): string {
  if (resolution === "1d" || resolution === "1mo") {
    // The end is the first instant that is not in it any more.
    const last = new Date(Date.parse(`${to.slice(0, 10)}T00:00:00Z`) - 86_400_000).toISOString();
    const first = `${from.slice(0, 10)}T00:00:00Z`;
    return first.slice(0, 10) === last.slice(0, 10) ? day(first) : `${day(first)} – ${day(last)}`;
  }
  return span(from, to);
}

/** When a bucket is; with its offset where the clocks change in between, because the same clock is there twice. */
export function bucket(scene: Scene, at: number): string {
  const { resolution, from, to } = scene.usage;
  const start = scene.starts[at] ?? "";
  const when = range(resolution, start, scene.ends[at] ?? "");
  const isChange = offset(from) !== offset(to) && resolution !== "1d" && resolution !== "1mo";
  return isChange ? `${when} (${offset(start)})` : when;
}

/** How far the clocks of a time are ahead of UTC. */
function offset(time: string): string {
  return /[+-]\d\d:\d\d$/.exec(time)?.[0] ?? "UTC";
}

/** A bucket's count and what it is worth. */
export function count(scene: Scene, at: number): string {
  const sum = scene.sums[at] ?? null;
  const state = scene.states[at] ?? "unknown";
  if (sum === null) return STATES[state];
  const meter = sum === 1 ? scene.usage.meter.replace(/s$/, "") : scene.usage.meter;
  const words = `${digits(sum)} ${meter}`;
  if (state === "complete") return words;
  return state === "open" ? `${words} so far, still filling` : `at least ${words}: not all is known`;
}

/** Until when all is in. */
export function completeness(usage: Usage): string {
  const until = usage.complete_until;
  if (until === null) return "Nothing has been counted yet.";
  // Where all is in that will be, and yet not all is known, the total says so.
  if (Date.parse(until) >= Date.parse(usage.to)) return usage.state === "complete" ? "All is in." : "";
  return `All is in until ${until.slice(0, 10) === usage.to.slice(0, 10) ? exact(until) : `${day(until)}, ${exact(until)}`}.`;
}

function exact(time: string): string {
  return time.slice(11, 19) || clock(time);
}

/** All of it for those who do not see it. */
export function summary(scene: Scene): string {
  const { usage } = scene;
  const sentences = [
    `${range(usage.resolution, usage.from, usage.to)}, ${usage.tz}, by ${bucketWords(usage.resolution)}.`,
    `Total: ${totalSentence(scene)}.`,
  ];
  const compared = comparison(scene);
  if (compared) sentences.push(`${compared.change} ${compared.words}.`.trim());
  let highest = -1;
  scene.sums.forEach((sum, at) => {
    if (sum !== null && sum > (scene.sums[highest] ?? 0)) highest = at;
  });
  if (highest >= 0)
    sentences.push(`Highest: ${digits(scene.sums[highest] ?? null)}, ${bucket(scene, highest)}.`);
  if (scene.isGrouped) {
    const groups = scene.lines.slice(0, 9).map(({ name, total }) => `\u2068${name}\u2069 ${digits(total)}`);
    if (groups.length > 0) sentences.push(`${groups.join(", ")}.`);
  }
  for (const state of ["unknown", "partial", "open", "to come"] as const) {
    const told = spans(scene, state);
    if (told) sentences.push(told);
  }
  sentences.push(completeness(usage));
  return sentences.filter(Boolean).join(" ");
}

/** When a state holds. */
function spans(scene: Scene, state: Shown): string {
  const found = runs(scene.states, state);
  if (found.length === 0) return "";
  const told = found
    .slice(0, SPANS_MAX)
    .map(([first, last]) => range(scene.usage.resolution, scene.starts[first] ?? "", scene.ends[last] ?? ""));
  if (found.length > SPANS_MAX) told.push(`and ${found.length - SPANS_MAX} times more`);
  const words = STATES[state];
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}: ${told.join("; ")}.`;
}

/** Who is silent. */
export function silence(usage: Usage): string {
  if (usage.missing_nodes.length === 0) return "";
  const told = usage.missing_nodes.slice(0, 5).map(({ node, region, since }) => {
    const where = region ? ` in ${region}` : "";
    return `node ${node}${where} since ${wall(since)}`;
  });
  const more = usage.missing_nodes.length - told.length;
  if (more > 0) told.push(`and ${more} more`);
  return `Silent: ${told.join(", ")}. What they received since is not in these counts; it comes in by itself when they are back.`;
}
