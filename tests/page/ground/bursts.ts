/** Answers of `/v1/operator/bursts`: a demo has bursts when it likes. */
import type { Page } from "@playwright/test";

const burst = {
  id: "alert_3c3e76676dc2392abcf7b8cdcc76a6e3",
  customer: "acme",
  project: "web",
  environment: "production",
  flag: null,
  meter: "evaluations",
  kind: "burst",
  said: "began",
  why: null,
  since: "2026-11-20T12:40:00Z",
  seen_at: "2026-11-20T12:42:00Z",
  alerted_at: "2026-11-20T12:42:04Z",
  observed: "51200",
  expected: "10000",
  low: "7800",
  high: "12200",
  ratio: 5.12,
  excess: "82400",
  peak: "51200",
  learning: false,
  muted: null as string | null,
  contributors: [
    { by: "flag", name: "checkout <b>v2</b>", count: "90000", before: "9000" },
    { by: "flag", name: null, count: "2400", before: "1000" },
    { by: "sdk", name: "flagsmith-python-sdk/4.0.0", count: "92400", before: "10000" },
  ],
  chart: "/usage?customer=acme&project=web&environment=production&resolution=1m",
};
const drop = {
  ...burst,
  id: "alert_00000000000000000000000000000001",
  customer: "globex",
  kind: "drop",
  observed: "0",
  ratio: 0,
  learning: true,
  muted: "mute_0000000000000000000000000000002a",
  contributors: [],
  chart: "/usage?customer=globex&project=web&environment=production&resolution=1m",
};

const mute = {
  id: "mute_0000000000000000000000000000002a",
  customer: "globex",
  project: null,
  environment: null,
  registered: true,
  state: "active",
  from: "2026-11-20T12:00:00Z",
  to: "2026-11-20T14:40:00Z",
  until: "2026-11-20T14:40:00Z",
  reason: "launch of <b>v2</b>",
  made_by: "0123456789ab, on call",
  made_at: "2026-11-20T11:00:00Z",
  ended_by: null,
  ended_at: null,
};
const planned = {
  ...mute,
  id: "mute_0000000000000000000000000000002b",
  customer: "acme",
  project: "web",
  state: "planned",
  from: "2026-11-21T12:00:00Z",
  to: "2026-11-21T14:40:00Z",
  until: "2026-11-21T14:40:00Z",
};

/** From now on this page is told of one burst and one drop that is muted, or of none. */
export async function tellOfBursts(page: Page, some: boolean): Promise<void> {
  const alerts = some ? [burst, drop] : [];
  const mutes = some ? [planned, mute] : [];
  await page.route("**/v1/operator/mutes?*", (route) => {
    const state = new URL(route.request().url()).searchParams.get("state");
    return route.fulfill({ json: { mutes: mutes.filter((mute) => mute.state === state), next: null } });
  });
  await page.route("**/v1/operator/bursts?*", (route) => {
    const { searchParams } = new URL(route.request().url());
    if (searchParams.get("active") !== "true") return route.abort();
    return route.fulfill({ json: { alerts, next: "c", more: false } });
  });
}

export interface Marked {
  project: string;
  kind: "burst" | "drop";
  /** Hours after the beginning of the range that is asked for. */
  from: number;
  /** None while it goes on. */
  to: number | null;
  ratio: number;
}

/** Two, one of them with a name that wants to be more than a name. */
export const MARKED: readonly Marked[] = [
  { project: "<img src=x onerror=alert(1)>", kind: "burst", from: 6, to: 7.5, ratio: 5.04 },
  { project: "web", kind: "drop", from: 16, to: 17, ratio: 0.03 },
];

/** From now on charts of this page mark these, once `come` lets them; what was asked is in the list that comes back. */
export async function markBursts(
  page: Page,
  marked: readonly Marked[] = MARKED,
  come: Promise<void> = Promise.resolve(),
): Promise<URLSearchParams[]> {
  const asked: URLSearchParams[] = [];
  let begin = Number.NaN;
  const told = (bursts: object[]): object => ({ bursts, more: false });
  const times = ({ from, to }: Marked): { since: string; until: string | null } => {
    const at = (hours: number): string => new Date(begin + hours * 3_600_000).toISOString();
    return { since: at(from), until: to === null ? null : at(to) };
  };
  await page.route(/\/v1\/bursts\?/, async (route) => {
    await come;
    const { searchParams } = new URL(route.request().url());
    asked.push(searchParams);
    // Where one looks closer they stay where they are.
    if (Number.isNaN(begin)) begin = Date.parse(searchParams.get("from") ?? "");
    const one = (mark: Marked): object => {
      const { project, kind, ratio } = mark;
      const of = { customer: "acme", project, environment: "production", flag: null, meter: "evaluations" };
      return { ...of, kind, ratio, ...times(mark), learning: false, chart: "/usage?customer=acme" };
    };
    return route.fulfill({ json: told(marked.map(one)) });
  });
  await page.route(/\/embed\/bursts\?/, (route) => {
    asked.push(new URL(route.request().url()).searchParams);
    // A link asks for a range of its own: here it is the day that ends with this hour.
    begin = Math.floor(Date.now() / 3_600_000 - 24) * 3_600_000;
    const one = (mark: Marked): object => ({ kind: mark.kind, ratio: mark.ratio, ...times(mark) });
    return route.fulfill({ json: told(marked.map(one)) });
  });
  return asked;
}
