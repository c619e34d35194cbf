/** From the address of the view to the question that is asked, and back. Pure. */
import type { Change } from "../../address";
import { DIMENSIONS, type Dimension, type Group, type Usage } from "../../api/types";

export type Style = "lines" | "stacked" | "table";

/** Groups that are told apart where the address says nothing: as many as there are colours. */
export const TOP = "8";
export const TOPS = ["5", "8", "20", "50"];

/** The resolutions of the API with the seconds of their buckets, and how they are called. */
export const RESOLUTIONS: readonly { value: string; label: string; seconds: number }[] = [
  { value: "10s", label: "10 seconds", seconds: 10 },
  { value: "1m", label: "minute", seconds: 60 },
  { value: "15m", label: "15 minutes", seconds: 900 },
  { value: "1h", label: "hour", seconds: 3_600 },
  { value: "1d", label: "day", seconds: 86_400 },
  { value: "1mo", label: "month", seconds: 2_629_746 },
];
/** Buckets of one answer at most. */
const BUCKETS_MAX = 10_000;

/** What to tell apart, as the address says it: with commas or repeated. */
export function groupBy(params: URLSearchParams): string {
  return params
    .getAll("group_by")
    .flatMap((value) => value.split(","))
    .filter(Boolean)
    .join(",");
}

/** The question of an address: the same words in the same order for the same question. */
export function question(params: URLSearchParams, zone: string | null): URLSearchParams {
  const asked = new URLSearchParams();
  for (const name of ["from", "to", "resolution"]) {
    const value = params.get(name);
    if (value) asked.set(name, value);
  }
  if (zone) asked.set("tz", zone);
  for (const name of ["meter", ...DIMENSIONS])
    for (const value of params.getAll(name)) asked.append(name, value);
  const groups = groupBy(params);
  if (groups) {
    asked.set("group_by", groups);
    asked.set("limit", params.get("limit") || TOP);
  }
  if (params.get("compare")) asked.set("compare", params.get("compare") ?? "");
  return asked;
}

/** Whether an answer to the one question is one to the other: they differ at most in that one leaves the zone to the server. */
export function isSame(one: URLSearchParams, other: URLSearchParams, zone: string | null): boolean {
  const [a, b] = [new URLSearchParams(one), new URLSearchParams(other)];
  if (zone !== null) for (const params of [a, b]) if (!params.has("tz")) params.set("tz", zone);
  a.sort();
  b.sort();
  return a.toString() === b.toString();
}

/** How the counts are shown: groups stand on each other, what is not told apart is a line. */
export function styleOf(params: URLSearchParams): Style {
  if (params.get("view") === "table") return "table";
  const style = params.get("style");
  if (style === "lines" || style === "stacked") return style;
  return groupBy(params) ? "stacked" : "lines";
}

/** The address that shows it so. */
export function styled(style: Style): Change {
  return style === "table" ? { view: "table" } : { view: null, style };
}

/** The numbers of an answer, as a file: the same buckets, wherever a relative range has moved to since. */
export function csv(asked: URLSearchParams, usage: Usage): string {
  const file = new URLSearchParams(asked);
  file.set("from", instant(Date.parse(usage.from)));
  file.set("to", instant(Date.parse(usage.to)));
  file.set("resolution", usage.resolution);
  file.set("tz", usage.tz);
  file.set("format", "csv");
  return `/v1/usage?${file}`;
}

/** As short as the API takes it, in UTC: no sign in it that addresses would have to escape. */
export function instant(at: number): string {
  return new Date(at).toISOString().replace(/\.000Z$/, "Z");
}

/** Only this group, and not told apart by what is one now. */
export function onlyGroup(params: URLSearchParams, group: Group): Change {
  const change: Change = {};
  for (const dimension of DIMENSIONS) {
    const value = group[dimension];
    if (value !== undefined) change[dimension] = value ?? "";
  }
  const next = drill(params, Object.keys(group) as Dimension[]);
  return { ...change, group_by: next, limit: null };
}

/** What to tell apart next, once one is chosen: the next finer, where there is one. */
function drill(params: URLSearchParams, chosen: readonly Dimension[]): string | null {
  const rest = groupBy(params)
    .split(",")
    .filter((dimension) => dimension !== "" && !chosen.includes(dimension as Dimension));
  if (rest.length > 0) return rest.join(",");
  const finer: Partial<Record<Dimension, Dimension>> = {
    customer: "project",
    project: "flag",
    environment: "flag",
    flag: "variant",
  };
  const [only] = chosen;
  return (chosen.length === 1 && only && finer[only]) || null;
}

/** Whether a range of so many seconds can be had so fine, and is more than a bucket or two. */
export function fits(resolution: string, seconds: number): boolean {
  const one = RESOLUTIONS.find(({ value }) => value === resolution);
  return one !== undefined && seconds / one.seconds <= BUCKETS_MAX && seconds >= one.seconds;
}

/** The next coarser resolution in which so many seconds can be had. */
export function coarser(resolution: string, seconds: number): string | null {
  const at = RESOLUTIONS.findIndex(({ value }) => value === resolution);
  return RESOLUTIONS.slice(at + 1).find(({ value }) => fits(value, seconds))?.value ?? null;
}
