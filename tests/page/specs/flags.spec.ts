/** The flags: all of them, what is wrong with them, and how one finds the one that is looked for. */
import type { Page } from "@playwright/test";
import { rowsOf } from "../ground/csv";
import type { Demo, Token } from "../ground/demo";
import { manyFlags } from "../ground/many";
import { number, tableOf } from "../ground/table";
import { expect, test } from "../ground/test";
import { query, settled } from "../ground/time";

interface FlagUse {
  customer: string;
  project: string;
  flag: string;
  in_registry: boolean | null;
  owner?: string | null;
  past_removal?: boolean | null;
  total: number | null;
  last_seen: string | null;
}

const table = (page: Page) => page.getByRole("table", { name: "Flags" });
const names = (page: Page) => table(page).getByRole("rowheader").getByRole("link");
const searchBox = (page: Page) => page.getByRole("searchbox", { name: /^Search flags/ });
const tab = (page: Page, name: string) =>
  page.getByRole("navigation", { name: "Which flags" }).getByRole("link", { name });

async function answer(demo: Demo, token: Token, params: Record<string, string>): Promise<FlagUse[]> {
  return (await demo.get<{ flags: FlagUse[] }>(token, "/v1/flags", params)).flags;
}

async function open(page: Page, params: Record<string, string> = {}): Promise<void> {
  // High enough for all of a demo's flags: of more, the rows near the window are in the page.
  await page.setViewportSize({ width: 1440, height: 2400 });
  await page.goto(`/flags?${query(params)}`);
  await expect(page.locator(".flags-view")).toHaveAttribute("aria-busy", "false");
}

test("every flag of the API is there, with its numbers", async ({ signedIn: page, demo, tokens }) => {
  const range = settled();
  const flags = await answer(demo, tokens.operator, range);
  await open(page, { ...range, sort: "flag" });
  const shown = await tableOf(table(page));
  expect(flags.length).toBeGreaterThan(15);
  const told = (customer: string, flag: string, total: number | null): string =>
    `${customer} ${flag} ${total}`;
  const expected = flags.map(({ customer, flag, total }) => told(customer, flag, total)).sort();
  const names = new Set(flags.map(({ flag }) => flag));
  const seen = shown.map((row) => {
    // Beside the name there may be words on what is wrong with it.
    const flag = [...names].filter((one) => row.Flag?.startsWith(one)).sort((a, b) => b.length - a.length)[0];
    return told(row.Customer ?? "", flag ?? row.Flag ?? "", number(row.Evaluations));
  });
  expect(seen.sort()).toEqual(expected);
});

test("typing narrows, the address keeps it, and coming back finds it", async ({ signedIn: page }) => {
  await open(page);
  await searchBox(page).fill("TPS cover");
  await expect(names(page)).toHaveText(["tps-cover-sheet"]);
  await expect(page).toHaveURL(/[?&]q=TPS(\+|%20)cover/);
  await names(page).click();
  await expect(page).toHaveURL(/\/flags\/initech\/backoffice\/tps-cover-sheet/);
  await page.goBack();
  await expect(searchBox(page)).toHaveValue("TPS cover");
  await expect(names(page)).toHaveCount(1);
  await searchBox(page).fill("no flag is called like this");
  await expect(page.getByRole("heading", { name: "No such flag" })).toBeVisible();
  await page.getByRole("button", { name: "Show all flags" }).click();
  await expect.poll(() => names(page).count()).toBeGreaterThan(15);
});

test("a column sorts, and sorts the other way round", async ({ signedIn: page }) => {
  await open(page, settled());
  const column = page.getByRole("columnheader", { name: "Evaluations" });
  const totals = async (): Promise<number[]> =>
    (await tableOf(table(page))).map((row) => number(row.Evaluations) ?? -1);
  await expect(column).toHaveAttribute("aria-sort", "descending");
  const down = await totals();
  expect(down).toEqual([...down].sort((a, b) => b - a));
  await column.getByRole("button").click();
  await expect(column).toHaveAttribute("aria-sort", "ascending");
  await expect(page).toHaveURL(/sort=total/);
  const up = (await totals()).filter((total) => total >= 0);
  expect(up).toEqual([...up].sort((a, b) => a - b));
  await page.getByRole("columnheader", { name: "Flag" }).getByRole("button").click();
  await expect(page.getByRole("columnheader", { name: "Flag" })).toHaveAttribute("aria-sort", "ascending");
  const shown = await names(page).allTextContents();
  expect(shown).toEqual([...shown].sort((a, b) => a.localeCompare(b, "en", { numeric: true })));
});

for (const [name, param, holds] of [
  ["Ghosts", "ghost", (flag: FlagUse) => flag.in_registry === false && flag.last_seen !== null],
  ["Stale", "stale", (flag: FlagUse) => flag.last_seen === null],
  ["Past removal", "past_removal", (flag: FlagUse) => flag.past_removal === true],
  ["No owner", "without_owner", (flag: FlagUse) => flag.owner === null],
] as const) {
  test(`"${name}" shows just these, and says how many`, async ({ signedIn: page, demo, tokens }) => {
    const range = settled();
    const expected = (await answer(demo, tokens.operator, range)).filter(holds).map(({ flag }) => flag);
    await open(page, range);
    await expect(tab(page, name)).toContainText(String(expected.length));
    await tab(page, name).click();
    await expect(page).toHaveURL(new RegExp(`show=${param}`));
    await expect(tab(page, name)).toHaveAttribute("aria-current", "page");
    await expect(names(page)).toHaveCount(expected.length);
    expect((await names(page).allTextContents()).sort()).toEqual(expected.sort());
  });
}

test("the file has what is on the screen and in the API", async ({ signedIn: page, demo, tokens }) => {
  const range = { ...settled(), customer: "acme" };
  const before = await answer(demo, tokens.operator, range);
  await open(page, range);
  const shown = await names(page).allTextContents();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "CSV" }).click(),
  ]);
  const rows = await rowsOf(download);
  expect(rows.map(({ flag }) => flag)).toEqual(shown);
  // The demo goes on counting, and when a flag was last seen is not bound to the range: what the file has of
  // it is between what the API has before and after.
  const after = await answer(demo, tokens.operator, range);
  for (const flag of before) {
    const same = (one: { flag?: string; project?: string }) =>
      one.flag === flag.flag && one.project === flag.project;
    const row = rows.find(same);
    expect(row?.total, flag.flag).toBe(flag.total === null ? "" : String(flag.total));
    const [first, seen, last] = [flag.last_seen, row?.last_seen, after.find(same)?.last_seen].map((time) =>
      time ? Date.parse(time) : 0,
    );
    expect(seen, flag.flag).toBeGreaterThanOrEqual(first ?? 0);
    expect(seen, flag.flag).toBeLessThanOrEqual(last ?? 0);
  }
});

test("of thousands only those near the window are in the page, and each says which it is", async ({
  signedIn: page,
}) => {
  await page.route("**/v1/flags?*", (route) => route.fulfill({ json: manyFlags(5_000) }));
  await open(page, { sort: "flag" });
  await expect(table(page)).toHaveAttribute("aria-rowcount", "5001");
  expect(await names(page).count()).toBeLessThan(100);
  await page.keyboard.press("End");
  await expect(names(page).last()).toHaveText("flag-4999");
  await searchBox(page).fill("4321");
  await expect(names(page)).toHaveText(["flag-4321"]);
});

test("the chart of a flag is there however late its other answers come", async ({ signedIn: page }) => {
  let release = (): void => {};
  const held = new Promise<void>((done) => {
    release = done;
  });
  await page.route("**/v1/flags?*", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`/flags/acme/web/checkout-v2?${query(settled())}`);
  await expect(page.locator(".figure .readout strong")).not.toHaveText("");
  release();
  await expect(page.locator(".plot")).toBeVisible();
  // In the frame after it, not with whatever is counted next.
  const canvases = await page.evaluate(
    () =>
      new Promise<number>((done) =>
        requestAnimationFrame(() =>
          requestAnimationFrame(() => done(document.querySelectorAll(".plot canvas").length)),
        ),
      ),
  );
  expect(canvases).toBe(1);
});
