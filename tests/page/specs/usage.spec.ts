/** Usage: the questions that one asks of it, and that its numbers are those of the API. */

import type { Page } from "@playwright/test";
import { number, tableOf } from "../ground/table";
import { expect, test } from "../ground/test";
import { hour, settled } from "../ground/time";
import {
  answered,
  answerTo,
  buckets,
  chart,
  counts,
  expectSameAsApi,
  groupNames,
  groups,
  openTable,
  openUsage,
  total,
} from "../ground/usage";

const param = (page: Page, name: string): string[] => new URL(page.url()).searchParams.getAll(name);
const choose = (page: Page, legend: string, option: string): Promise<void> =>
  page.getByRole("group", { name: legend }).getByRole("radio", { name: option, exact: true }).check();

/** Drags over a part of the chart, in shares of its width. */
async function drag(page: Page, from: number, to: number): Promise<void> {
  const plot = await chart(page).locator(".u-over").boundingBox();
  if (!plot) throw new Error("there is no plot");
  const y = plot.y + plot.height / 2;
  await page.mouse.move(plot.x + plot.width * from, y);
  await page.mouse.down();
  await page.mouse.move(plot.x + plot.width * ((from + to) / 2), y);
  await page.mouse.move(plot.x + plot.width * to, y);
  await page.mouse.up();
}

test("the table, the total and the legend are what the API answers", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "customer" });
  await openTable(page);
  const usage = await expectSameAsApi(page, demo, tokens.operator);
  expect(number(await total(page).innerText())).toBe(usage.total);
  const legend = await tableOf(groups(page));
  expect(legend.map(({ Group }) => Group)).toEqual(groupNames(usage));
  const sums = groupNames(usage).map((_, at) =>
    buckets(usage).reduce((all, { counts }) => all + (counts[at] ?? 0), 0),
  );
  expect(legend.map(({ Total }) => number(Total))).toEqual(sums);
});

test("dragging over the chart looks closer, and back looks at all of it again", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  const range = settled();
  await openUsage(page, { ...range, resolution: "1h" });
  await openTable(page);
  const before = page.url();
  await drag(page, 0.25, 0.5);
  await expect(page).not.toHaveURL(before);
  const [from = "", to = ""] = [...param(page, "from"), ...param(page, "to")];
  expect(Date.parse(from)).toBeGreaterThan(Date.parse(range.from));
  expect(Date.parse(to)).toBeLessThan(Date.parse(range.to));
  // A quarter of 24 hours and what of an hour is at the edges.
  const hours = (Date.parse(to) - Date.parse(from)) / 3_600_000;
  expect(hours).toBeGreaterThanOrEqual(6);
  expect(hours).toBeLessThanOrEqual(8);
  const closer = await expectSameAsApi(page, demo, tokens.operator);
  expect(buckets(closer)).toHaveLength(hours);
  await page.getByRole("button", { name: "Back to what was seen before" }).click();
  await expect(page).toHaveURL(before);
  await expectSameAsApi(page, demo, tokens.operator);
  await page.goForward();
  await expect(page).toHaveURL(new RegExp(`from=${from}`));
  await page.goBack();
  await expect(page).toHaveURL(before);
});

test("a range that moves along stays so in the address", async ({ signedIn: page }) => {
  await openUsage(page, {});
  for (const span of ["1h", "6h", "7d", "30d", "90d"]) {
    await choose(page, "Range", span);
    await answered(page);
    expect(param(page, "from")).toEqual([`-${span}`]);
    expect(param(page, "to")).toEqual([]);
  }
  await choose(page, "Range", "This month");
  await answered(page);
  expect(param(page, "from")[0]).toMatch(/^\d{4}-\d\d-01$/);
  await page.reload();
  await answered(page);
  await expect(page.getByRole("radio", { name: "This month" })).toBeChecked();
});

test("any other range is had by a form", async ({ signedIn: page }) => {
  await openUsage(page, {});
  await page.keyboard.press("r");
  const dialog = page.getByRole("dialog", { name: "Range" });
  await dialog.getByLabel("The last").fill("3");
  await dialog.getByLabel("Unit").selectOption("days");
  await dialog.getByRole("button", { name: "Show" }).first().click();
  await expect(page).toHaveURL(/from=-3d/);
  await page.keyboard.press("r");
  await dialog.getByLabel("From").fill("2026-11-21T06:00");
  await dialog.getByLabel("To, not included").fill("2026-11-21T05:00");
  await dialog.getByRole("button", { name: "Show" }).last().click();
  await expect(dialog.getByRole("alert")).toContainText("after the beginning");
  await dialog.getByLabel("To, not included").fill("2026-11-21T09:00");
  await dialog.getByRole("button", { name: "Show" }).last().click();
  await expect(page).toHaveURL(/from=2026-11-21T06:00:00Z&to=2026-11-21T09:00:00Z/);
});

test("the top is told apart and all others are added up, so that nothing is hidden", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  await openUsage(page, { ...settled(), resolution: "1h" });
  await page.getByLabel("Group by").selectOption("flag");
  await page.getByLabel("Top").selectOption("5");
  await expect(page).toHaveURL(/group_by=flag/);
  await expect(page).toHaveURL(/limit=5/);
  await openTable(page);
  const usage = await expectSameAsApi(page, demo, tokens.operator);
  const legend = await tableOf(groups(page));
  expect(legend).toHaveLength(6);
  expect(legend.at(-1)?.Group).toBe("all others");
  expect(legend.reduce((all, { Total }) => all + (number(Total) ?? 0), 0)).toBe(usage.total);
});

test("a group of the legend is looked at alone, and its chip takes that back", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "customer" });
  await openTable(page);
  await groups(page).getByRole("button", { name: "globex" }).click();
  await expect(page).toHaveURL(/customer=globex/);
  const alone = await expectSameAsApi(page, demo, tokens.operator);
  expect(alone.total).toBeGreaterThan(0);
  await expect.poll(async () => number(await total(page).innerText())).toBe(alone.total);
  await page.getByRole("button", { name: "Without the filter customer globex" }).click();
  await expect(page).not.toHaveURL(/customer=globex/);
  const all = await expectSameAsApi(page, demo, tokens.operator);
  expect(all.total).toBeGreaterThan(alone.total ?? 0);
});

test("a filter is added by its name", async ({ signedIn: page, demo, tokens }) => {
  await openUsage(page, { ...settled(), resolution: "1h" });
  await openTable(page);
  await page.getByRole("button", { name: "+ Filter" }).click();
  const dialog = page.getByRole("dialog", { name: "Filter" });
  await dialog.getByLabel("What").selectOption("customer");
  await dialog.getByLabel("Its name, all of it").fill("acme");
  await dialog.getByRole("button", { name: "Filter", exact: true }).click();
  await expect(page).toHaveURL(/customer=acme/);
  await expectSameAsApi(page, demo, tokens.operator);
});

test("the period before stands beside each count", async ({ signedIn: page, demo, tokens }) => {
  await openUsage(page, { from: hour(-13), to: hour(-1), resolution: "1h" });
  await openTable(page);
  await page.getByText("Previous period", { exact: true }).click();
  await expect(page).toHaveURL(/compare=previous/);
  const usage = await expectSameAsApi(page, demo, tokens.operator);
  expect(usage.previous?.total).toBeGreaterThan(0);
  const before = new Intl.NumberFormat("en-GB").format(usage.previous?.total ?? 0);
  await expect(page.locator(".usage-total")).toContainText(`against ${before} before`);
});

test("whoever opens the address sees the same", async ({ signedIn: page, context }) => {
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "flag", limit: "5", customer: "acme" });
  await choose(page, "Style", "Lines");
  await page.getByText("Previous period", { exact: true }).click();
  await expect(page).toHaveURL(/style=lines.*compare=previous/);
  const legend = await tableOf(groups(page));
  const other = await context.newPage();
  await other.goto(page.url());
  await answered(other);
  await expect.poll(() => tableOf(groups(other))).toEqual(legend);
  await expect(other.getByRole("radio", { name: "Lines" })).toBeChecked();
  await expect(other.getByLabel("Previous period")).toBeChecked();
  await expect(other.getByLabel("Top")).toHaveValue("5");
});

test("as a table it shows the same numbers", async ({ signedIn: page, demo, tokens }) => {
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "customer" });
  await choose(page, "Style", "Table");
  await expect(page).toHaveURL(/view=table/);
  await expect(chart(page)).toBeHidden();
  await expect(counts(page)).toBeVisible();
  await expectSameAsApi(page, demo, tokens.operator);
});

test("the meter is chosen", async ({ signedIn: page, demo, tokens }) => {
  await openUsage(page, { ...settled(), resolution: "1h" });
  await choose(page, "Meter", "Requests");
  await expect(page).toHaveURL(/meter=requests/);
  const usage = await answerTo(demo, tokens.operator, page);
  await expect.poll(async () => number(await total(page).innerText())).toBe(usage.total);
});
