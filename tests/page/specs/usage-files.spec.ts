/** The file, the table on the screen and the API's JSON say the same, number by number. */
import type { Page } from "@playwright/test";
import { rowsOf } from "../ground/csv";
import { expect, test } from "../ground/test";
import { hour, settled, settledDays } from "../ground/time";
import { answerTo, buckets, expected, openTable, openUsage, shown, type Usage } from "../ground/usage";

async function fileOf(page: Page): Promise<Record<string, string>[]> {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "CSV" }).click(),
  ]);
  expect(download.suggestedFilename()).toMatch(/^flagmeter-.*\.csv$/);
  return rowsOf(download);
}

/** The rows of an answer as a file has them: what is not known is empty. */
function asFile(usage: Usage): Record<string, string>[] {
  const text = (value: unknown): string => (value === null || value === undefined ? "" : String(value));
  return usage.rows.map((row) => ({
    start: row.start,
    end: row.end,
    state: row.state,
    count: text(row.count),
    ...Object.fromEntries(usage.group_by.map((name) => [name, text(row[name])])),
  }));
}

for (const [what, params] of [
  ["by customer", { ...settled(), resolution: "1h", group_by: "customer" }],
  ["by two things", { ...settled(6), resolution: "15m", group_by: "customer,environment" }],
  ["the top three flags", { ...settled(12), resolution: "1h", group_by: "flag", limit: "3" }],
  [
    "filtered, in days of Kolkata",
    { ...settledDays(), resolution: "1d", tz: "Asia/Kolkata", customer: "initech" },
  ],
  ["with a time of which nothing is known", { from: hour(-24 * 5), to: hour(-24), resolution: "1h" }],
] as const) {
  test(`${what}: file, screen and API agree`, async ({ signedIn: page, demo, tokens }) => {
    await openUsage(page, params);
    await openTable(page);
    const usage = await answerTo(demo, tokens.operator, page);
    expect(await fileOf(page)).toEqual(asFile(usage));
    expect(await shown(page)).toEqual(expected(usage));
    expect(buckets(usage).length).toBeGreaterThan(1);
  });
}

test("the file of a range that moves along is that of the buckets on the screen", async ({
  signedIn: page,
}) => {
  await openUsage(page, { from: "-2h", resolution: "15m", group_by: "customer" });
  await openTable(page);
  const address = await page.getByRole("link", { name: "CSV" }).getAttribute("href");
  const asked = new URL(address ?? "", page.url()).searchParams;
  expect(asked.get("from")).toMatch(/^\d{4}-/);
  expect(asked.get("to")).toMatch(/^\d{4}-/);
  const rows = await fileOf(page);
  expect(new Set(rows.map(({ start }) => start)).size).toBe((await shown(page)).length);
});

test("a name that a spreadsheet would take for a formula stays a name", async ({ signedIn: page, demo }) => {
  const key = await demo.addCustomer("formulas");
  await demo.count(key, [
    { flag: "=1+1", count: 3 },
    { flag: 'with "quotes", and a comma', count: 4 },
  ]);
  await openUsage(page, { from: "-1h", resolution: "15m", customer: "formulas", group_by: "flag" });
  await expect(page.locator(".usage-total .number")).toHaveText("7");
  const rows = await fileOf(page);
  expect([...new Set(rows.map(({ flag }) => flag))].sort()).toEqual(
    [`'=1+1`, `with "quotes", and a comma`].sort(),
  );
});
