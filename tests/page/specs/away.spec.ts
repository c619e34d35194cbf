/** The server goes away and comes back, the network does, a laptop sleeps: the page says so and goes on by itself. */
import type { Page } from "@playwright/test";
import { AWAY, status } from "../ground/guard";
import { expect, test } from "../ground/test";
import { settled } from "../ground/time";
import { answered, expectSameAsApi, freshness, groups, openTable, openUsage, total } from "../ground/usage";

/** The page asks again with pauses that grow, and what has just begun is busy. */
const BACK_WITHIN_MS = 90_000;

test.beforeEach(({ guard }) => {
  // The browser itself says that there is no server; and one that starts may answer 503 at first.
  guard.allow(AWAY, status(503));
});

const notice = (page: Page) => page.locator("p.notice[role=status]");

/** Marks the page: one that is loaded anew has lost it. */
async function mark(page: Page): Promise<() => Promise<void>> {
  await page.evaluate(() => Object.assign(window, { marked: true }));
  return async () => {
    expect(await page.evaluate(() => "marked" in window), "the page was not loaded anew").toBe(true);
  };
}

test("a server that is killed is said to be away, what was seen stays, and it goes on by itself", async ({
  signedIn: page,
  demo,
}) => {
  await openUsage(page, {
    from: "-1h",
    resolution: "1m",
    group_by: "customer",
    style: "lines",
    compare: "previous",
  });
  const isSame = await mark(page);
  const before = page.url();
  await demo.kill();
  await expect(freshness(page)).toHaveText("not live");
  await expect(notice(page)).toContainText("goes on by itself");
  await expect(groups(page)).toContainText("globex");
  expect(page.url()).toBe(before);
  const stale = await total(page).innerText();
  await demo.again();
  await expect(freshness(page)).toHaveText("live", { timeout: BACK_WITHIN_MS });
  await expect(notice(page)).toBeHidden();
  // It is not only said to be live: new counts come in.
  await expect(total(page)).not.toHaveText(stale);
  expect(page.url()).toBe(before);
  await expect(page.getByRole("radio", { name: "Lines" })).toBeChecked();
  await isSame();
});

test("a chart of what is over is the same after the server came back", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "customer" });
  await openTable(page);
  const before = page.url();
  await demo.kill();
  await expect(freshness(page)).toHaveText("not live");
  await demo.again();
  await expect(freshness(page)).toHaveText("live", { timeout: BACK_WITHIN_MS });
  expect(page.url()).toBe(before);
  await expectSameAsApi(page, demo, tokens.operator);
});

test("what is asked for while the server is away is there when it is back", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  await openUsage(page, { ...settled(), resolution: "1h" });
  await demo.kill();
  await expect(freshness(page)).toHaveText("not live");
  await page.getByLabel("Group by").selectOption("customer");
  await expect(page).toHaveURL(/group_by=customer/);
  await demo.again();
  await answered(page, BACK_WITHIN_MS);
  await openTable(page);
  await expectSameAsApi(page, demo, tokens.operator);
});

test("flags that are on the screen stay while the server is away", async ({ signedIn: page, demo }) => {
  await page.goto("/flags?q=tps-cover");
  const names = page.getByRole("table", { name: "Flags" }).getByRole("rowheader");
  await expect(names).toHaveCount(1);
  const isSame = await mark(page);
  await demo.kill();
  // Nobody asks while nothing is due: a look at another range does.
  await page.getByRole("radio", { name: "7 days" }).check();
  await expect(freshness(page)).toHaveText("not live");
  await expect(notice(page)).toContainText("goes on by itself");
  await expect(names).toHaveCount(1);
  await demo.again();
  await expect(freshness(page)).toHaveText("live", { timeout: BACK_WITHIN_MS });
  await expect(names).toHaveCount(1);
  await expect(page).toHaveURL(/q=tps-cover/);
  await isSame();
});

test("a page without a network says so, and goes on when it is back", async ({ signedIn: page, context }) => {
  await openUsage(page, { from: "-1h", resolution: "1m", group_by: "customer" });
  const isSame = await mark(page);
  const before = page.url();
  await context.setOffline(true);
  await page.getByLabel("Top").selectOption("5");
  await expect(freshness(page)).toHaveText("not live");
  await expect(notice(page)).toContainText("goes on by itself");
  await page.getByLabel("Top").selectOption("8");
  await context.setOffline(false);
  await expect(freshness(page)).toHaveText("live");
  const first = await total(page).innerText();
  await expect(total(page)).not.toHaveText(first);
  expect(new URL(page.url()).pathname).toBe(new URL(before).pathname);
  await isSame();
});

test("a laptop that slept for a night shows the morning", async ({ signedIn: page }) => {
  await page.clock.install();
  await openUsage(page, { from: "-1h", resolution: "1m", group_by: "customer" });
  const before = page.url();
  let asked = 0;
  page.on("request", (request) => {
    if (request.url().includes("/v1/live?")) asked += 1;
  });
  // All timers that were due in these hours go off once, as when a laptop wakes.
  await page.clock.fastForward("08:00:00");
  await expect.poll(() => asked).toBeGreaterThan(0);
  await expect(freshness(page)).toHaveText("live");
  const first = await total(page).innerText();
  await expect(total(page)).not.toHaveText(first);
  expect(page.url()).toBe(before);
});
