/** The usage view, as people meet it: what is on it, and what the API says of the same question. */
import type { Locator, Page } from "@playwright/test";
import { expect } from "@playwright/test";
import type { Demo, Token } from "./demo";
import { number, tableOf } from "./table";
import { query } from "./time";

export interface Row {
  start: string;
  end: string;
  state: string;
  count: number | null;
  previous?: { count: number | null };
  customer?: string | null;
  flag?: string | null;
  variant?: string | null;
  environment?: string | null;
}

export interface Usage {
  from: string;
  to: string;
  resolution: string;
  tz: string;
  state: string;
  total: number | null;
  previous?: { total: number | null };
  group_by: (keyof Row)[];
  rows: Row[];
}

/** The chart is a slider over its buckets. */
export const chart = (page: Page): Locator => page.getByRole("slider", { name: "Chart, bucket by bucket" });
export const total = (page: Page): Locator => page.locator(".usage-total .number");
export const freshness = (page: Page): Locator => page.locator(".freshness");
export const counts = (page: Page): Locator =>
  page.getByRole("region", { name: "Counts as a table" }).getByRole("table");
export const groups = (page: Page): Locator => page.getByRole("table", { name: "Groups" });

/** Opens the view at this question, and waits until it shows the answer. */
export async function openUsage(page: Page, params: Record<string, string>): Promise<void> {
  await page.goto(`/usage?${query(params)}`);
  await answered(page);
}

/** Waits until the view shows an answer that goes on; for longer than other things may take, where it is said. */
export async function answered(page: Page, timeout?: number): Promise<void> {
  const within = timeout === undefined ? {} : { timeout };
  await expect(freshness(page)).toHaveText("live", within);
  await expect(total(page)).not.toHaveText("–", within);
}

/** What the API answers to the question that the address holds. */
export async function answerTo(demo: Demo, token: Token, page: Page): Promise<Usage> {
  const asked = new URL(page.url()).searchParams;
  for (const name of ["style", "view"]) asked.delete(name);
  // As many groups as the view shows where the address does not say.
  if (asked.has("group_by") && !asked.has("limit")) asked.set("limit", "8");
  if (!asked.has("tz")) asked.set("tz", "UTC");
  return demo.get<Usage>(token, `/v1/usage?${asked}`);
}

/** The buckets of an answer, the newest first, with the counts of its groups in their order. */
export function buckets(
  usage: Usage,
): { start: string; state: string; counts: (number | null)[]; rows: Row[] }[] {
  const starts = [...new Set(usage.rows.map(({ start }) => start))].reverse();
  return starts.map((start) => {
    const rows = usage.rows.filter((row) => row.start === start);
    return { start, state: rows[0]?.state ?? "", counts: rows.map(({ count }) => count), rows };
  });
}

/** Groups by what they are called on the screen. */
export function groupNames(usage: Usage): string[] {
  const first = buckets(usage)[0]?.rows ?? [];
  return first.map((row) => {
    const names = usage.group_by.map((dimension) => row[dimension] as string | null);
    if (names.every((name) => name === "__other__")) return "all others";
    return names.map((name) => (name === null || name === "" ? "(none)" : name)).join(" · ");
  });
}

const added = (counts: (number | null)[]): number | null =>
  counts.reduce<number | null>((all, count) => (count === null ? all : (all ?? 0) + count), null);

/** What the table has to show of an answer. */
export function expected(usage: Usage): object[] {
  const names = usage.group_by.length > 0 ? groupNames(usage) : [];
  return buckets(usage).map(({ counts, rows }) => ({
    total: added(counts),
    ...(usage.previous ? { before: added(rows.map(({ previous }) => previous?.count ?? null)) } : {}),
    ...Object.fromEntries(names.map((name, at) => [`of ${name}`, counts[at] ?? null])),
  }));
}

/** What the table shows, all of it. */
export async function shown(page: Page): Promise<object[]> {
  const more = page.getByRole("button", { name: "More rows" });
  while (await more.isVisible()) await more.click();
  return (await tableOf(counts(page))).map((row) => {
    const { Time: _time, State: _state, Total: all, Evaluations: only, Before: before, ...rest } = row;
    return {
      total: number(all ?? only),
      ...(before === undefined ? {} : { before: number(before) }),
      ...Object.fromEntries(Object.entries(rest).map(([name, text]) => [`of ${name}`, number(text)])),
    };
  });
}

/** The table is what the API answers to the question in the address. */
export async function expectSameAsApi(page: Page, demo: Demo, token: Token): Promise<Usage> {
  const usage = await answerTo(demo, token, page);
  await expect.poll(() => shown(page)).toEqual(expected(usage));
  return usage;
}

/** Opens the table beside the chart. */
export async function openTable(page: Page): Promise<void> {
  const table = page.locator("details.as-table");
  if ((await table.getAttribute("open")) === null) await table.locator("summary").click();
  await expect(counts(page)).toBeVisible();
}
