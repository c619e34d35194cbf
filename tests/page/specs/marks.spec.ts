/** Bursts and drops on charts: what is marked is seen, said, reached by keys, and known not to be known. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Locator, Page } from "@playwright/test";
import { MARKED, markBursts } from "../ground/bursts";
import { status } from "../ground/guard";
import { expect, signIn, test } from "../ground/test";
import { settled } from "../ground/time";
import { chart, openUsage } from "../ground/usage";
import { expectNoSideways, SCHEMES, WIDTHS } from "../ground/views";

const list = (page: Page): Locator => page.getByRole("region", { name: "Bursts and drops" });

/** How many pixels of the canvas, above the counts, have the colour of marks. */
function marked(page: Page): Promise<number> {
  return page.evaluate(() => {
    const canvas = document.querySelector<HTMLCanvasElement>(".plot canvas");
    const over = document.querySelector(".u-over");
    // Of a copy: reading from the chart's own would slow it down, and the browser says so.
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    if (!canvas || !over || !context) return -1;
    Object.assign(context.canvas, { width: canvas.width, height: canvas.height });
    context.drawImage(canvas, 0, 0);
    const probe = document.createElement("i");
    probe.style.color = "var(--burst)";
    document.body.append(probe);
    const colour =
      getComputedStyle(probe)
        .color.match(/[\d.]+/g)
        ?.map(Number) ?? [];
    probe.remove();
    const ratio = canvas.width / canvas.clientWidth;
    const above = (over.getBoundingClientRect().top - canvas.getBoundingClientRect().top) * ratio;
    const { data } = context.getImageData(0, 0, canvas.width, Math.max(1, Math.floor(above)));
    let found = 0;
    for (let at = 0; at < data.length; at += 4)
      if (colour.every((part, channel) => Math.abs((data[at + channel] ?? 0) - part) < 3)) found += 1;
    return found;
  });
}

/** Moves along the chart until its bucket says so. */
async function stepTo(page: Page, says: RegExp): Promise<void> {
  await chart(page).focus();
  await page.keyboard.press("Home");
  for (let step = 0; step < 30; step += 1) {
    if (says.test((await chart(page).getAttribute("aria-valuetext")) ?? "")) return;
    await page.keyboard.press("ArrowRight");
  }
  throw new Error(`no bucket says ${says}`);
}

test("a customer sees its own marked, by their names", async ({ page, context, demo, tokens }) => {
  await signIn(context, demo, tokens.customer);
  const asked = await markBursts(page);
  const range = settled();
  await openUsage(page, { ...range, resolution: "1h", flag: "checkout-v2" });
  await expect.poll(() => marked(page)).toBeGreaterThan(60);
  const items = list(page).getByRole("listitem");
  await expect(items).toHaveCount(2);
  // The latest first. Its own name says nothing to a customer.
  await expect(items.first()).toContainText("Drop of web › production: down to 3 % of what is expected");
  await expect(items.last()).toContainText(
    "Burst of <img src=x onerror=alert(1)> › production: up to 5.0 times",
  );
  await expect(list(page).locator("img")).toHaveCount(0);
  await expect(list(page)).not.toContainText("acme");
  const question = Object.fromEntries(asked[0] ?? []);
  expect(question).toMatchObject({ meter: "evaluations", flag: "checkout-v2" });
  expect([question.from, question.to].map((at) => Date.parse(at ?? ""))).toEqual(
    [range.from, range.to].map((at) => Date.parse(at)),
  );
});

test("the server itself is asked, and what it does not mark is not marked", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  const answer = page.waitForResponse(/\/v1\/bursts\?/);
  await openUsage(page, { ...settled(), resolution: "1h", customer: "acme" });
  const told = await answer;
  const { pathname, search } = new URL(told.url());
  expect(await told.json()).toEqual(await demo.get(tokens.operator, `${pathname}${search}`));
  expect(await marked(page)).toBe(0);
  await expect(list(page)).toBeHidden();
});

test("keys reach a mark on the chart and in the list, and look closer at it", async ({ signedIn: page }) => {
  await markBursts(page);
  await openUsage(page, { ...settled(), resolution: "1h", group_by: "customer" });
  await expect(list(page)).toBeVisible();
  await stepTo(page, /Burst of .*acme.* up to 5\.0 times/);
  await expect(page.locator(".mark-tip")).toContainText("▲ Burst of");
  await expect(page.locator(".mark-tip")).toBeVisible();
  await page.keyboard.press("Home");
  await expect(page.locator(".mark-tip")).toBeHidden();
  const link = list(page).getByRole("link", { name: /^Drop of acme › web/ });
  for (let step = 0; step < 60; step += 1) {
    if (await link.evaluate((one) => one === document.activeElement)) break;
    await page.keyboard.press("Tab");
  }
  await expect(link).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/group_by=customer/);
  const { searchParams } = new URL(page.url());
  const hours =
    (Date.parse(searchParams.get("to") ?? "") - Date.parse(searchParams.get("from") ?? "")) / 3_600_000;
  expect([hours, searchParams.get("resolution")]).toEqual([2, null]);
  await expect(list(page)).toBeVisible();
});

test("pointing at the triangle tells what it stands for", async ({ signedIn: page }) => {
  await markBursts(page);
  await openUsage(page, { ...settled(), resolution: "1h" });
  await expect(list(page)).toBeVisible();
  const plot = await chart(page).locator(".u-over").boundingBox();
  if (!plot) throw new Error("there is no plot");
  // From the sixth hour to half past the seventh.
  await page.mouse.move(plot.x + (plot.width * 6.75) / 24, plot.y + 20);
  await expect(page.locator(".mark-tip")).toContainText("up to 5.0 times what is expected");
  await expect(page.locator(".mark-tip")).toBeVisible();
  await page.mouse.move(plot.x + (plot.width * 2.5) / 24, plot.y + 20);
  await expect(page.locator(".mark-tip")).toBeHidden();
});

test("marks that cannot be read are said not to be known, and the chart stays", async ({
  signedIn: page,
  guard,
}) => {
  guard.allow(status(503));
  await page.route(/\/v1\/bursts\?/, (route) =>
    route.fulfill({ status: 503, contentType: "application/problem+json", json: { detail: "away" } }),
  );
  await openUsage(page, { ...settled(), resolution: "1h" });
  await expect(list(page).getByRole("status")).toContainText("cannot be read just now");
  await expect(chart(page)).toBeVisible();
});

test("the page of a flag marks what was alerted of it", async ({ signedIn: page }) => {
  const asked = await markBursts(page);
  await page.goto("/flags/acme/web/checkout-v2?from=-24h");
  await expect(list(page).getByRole("listitem")).toHaveCount(2);
  await expect.poll(() => marked(page)).toBeGreaterThan(60);
  expect(Object.fromEntries(asked[0] ?? [])).toMatchObject({
    customer: "acme",
    project: "web",
    flag: "checkout-v2",
  });
});

test("a chart in the page of somebody else marks them without a name", async ({ page, demo, tokens }) => {
  const asked = await markBursts(page);
  await page.goto(await demo.link(tokens.customer, "from=-24h&resolution=1h"));
  await expect.poll(() => marked(page)).toBeGreaterThan(60);
  expect([...(asked[0]?.keys() ?? [])]).toEqual(["link"]);
  // There is no room for a list, and who listens has it all the same.
  await expect(list(page).getByRole("listitem").last()).toHaveText(
    /▲Burst: up to 5\.0 times what is expected/,
  );
  await expect(list(page).getByRole("link")).toHaveCount(0);
  expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
});

test("nothing moves when marks come", async ({ signedIn: page }) => {
  await page.addInitScript(() => {
    const shifts: number[] = [];
    Object.assign(window, { shifts });
    new PerformanceObserver((entries) => {
      for (const entry of entries.getEntries() as (PerformanceEntry & { value: number })[])
        shifts.push(entry.value);
    }).observe({ type: "layout-shift", buffered: true });
  });
  const moved = (): Promise<number> =>
    page.evaluate(() =>
      (window as unknown as { shifts: number[] }).shifts.reduce((sum, one) => sum + one, 0),
    );
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    let come = (): void => {};
    const comes = new Promise<void>((resolve) => {
      come = resolve;
    });
    await markBursts(page, MARKED, comes);
    await openUsage(page, { ...settled(), resolution: "1h", group_by: "flag" });
    await expect(list(page)).toBeHidden();
    const before = await moved();
    come();
    await expect(list(page)).toBeVisible();
    await expect.poll(() => marked(page)).toBeGreaterThan(60);
    expect((await moved()) - before).toBe(0);
    await page.unrouteAll({ behavior: "wait" });
  }
});

test("axe finds nothing, in any colours and at any width", async ({ signedIn: page }) => {
  await markBursts(page);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await openUsage(page, { ...settled(), resolution: "1h", group_by: "flag" });
    await expect(list(page)).toBeVisible();
    await stepTo(page, /Burst of/);
    await expectNoSideways(page);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ target }) => target.join(" "))])).toEqual(
        [],
      );
      const folder = process.env.FLAGMETER_SCREENSHOTS;
      if (folder)
        await page.screenshot({ path: `${folder}/marks-${width}-${colorScheme}.png`, fullPage: true });
    }
  }
});
