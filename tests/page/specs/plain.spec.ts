/** Without script: the same addresses show the same data as plain pages. */
import type { Page } from "@playwright/test";
import { status } from "../ground/guard";
import { expect, signIn, test } from "../ground/test";
import { hour, settled } from "../ground/time";
import type { Usage } from "../ground/usage";
import { VIEWS } from "../ground/views";

test.use({ javaScriptEnabled: false });

test("signing in and out with forms alone", async ({ page, context, guard, tokens }) => {
  guard.allow(status(401));
  await page.goto("/usage?from=-6h&group_by=customer&plain=1");
  await page.getByLabel("Token").fill("fm_0123456789ab_guess");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.locator("body")).toContainText("no token that is in force");
  expect(await context.cookies()).toEqual([]);
  await page.getByLabel("Token").fill(tokens.operator.text);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/Usage/);
  await expect(page).toHaveURL(/group_by=customer/);
  expect(page.url()).not.toContain("fm_");
  await page.getByRole("button", { name: "Sign out" }).click();
  expect((await context.cookies()).filter((cookie) => cookie.value.includes("fm_"))).toEqual([]);
});

for (const view of VIEWS) {
  test(`${view.name} is there, and shows something`, async ({ page, context, demo, tokens }) => {
    await signIn(context, demo, tokens.operator);
    await page.goto(`${view.address}${view.address.includes("?") ? "&" : "?"}plain=1`);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await expect(page.getByRole("table").first()).toBeVisible();
    expect(await page.getByRole("table").first().getByRole("row").count()).toBeGreaterThan(1);
    await expect(page.locator("script")).toHaveCount(0);
  });
}

test("whoever opens a view without script is led to the plain one", async ({
  page,
  context,
  demo,
  tokens,
}) => {
  await signIn(context, demo, tokens.operator);
  await page.goto("/flags");
  await expect(page).toHaveURL(/\/flags\?plain=1$/);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(/Flags/);
});

test("an address keeps what it says on the way to the plain page", async ({
  page,
  context,
  demo,
  tokens,
}) => {
  await signIn(context, demo, tokens.operator);
  await page.goto("/usage?from=-6h&group_by=customer");
  await expect(page).toHaveURL(/plain=1/);
  expect(page.url()).toContain("group_by=customer");
});

test("its numbers are those of the API", async ({ page, context, demo, tokens }) => {
  await signIn(context, demo, tokens.operator);
  const params = { ...settled(6), resolution: "1h", group_by: "customer", tz: "UTC" };
  await page.goto(`/usage?${new URLSearchParams({ ...params, plain: "1" })}`);
  const usage = await demo.get<Usage>(tokens.operator, "/v1/usage", { ...params, limit: "8" });
  const text = (await page.locator("body").innerText()).replaceAll(/[,\u202f\u00a0]/g, "");
  expect(usage.total).toBeGreaterThan(0);
  expect(text).toContain(String(usage.total));
  for (const row of usage.rows) expect(text, row.start).toContain(String(row.count));
  await expect(page.locator("svg, img[src*='chart.svg']").first()).toBeVisible();
});

test("flags stand in the same order with script and without", async ({
  page,
  context,
  browser,
  demo,
  tokens,
}) => {
  await signIn(context, demo, tokens.operator);
  const scripted = await browser.newContext({
    javaScriptEnabled: true,
    baseURL: demo.url,
    viewport: { width: 1440, height: 2400 },
  });
  await signIn(scripted, demo, tokens.operator);
  const live = await scripted.newPage();
  const names = (one: Page) => one.getByRole("table").first().getByRole("rowheader").getByRole("link");
  // When flags were last seen moves on between two looks.
  for (const sort of [
    "",
    "total",
    "flag",
    "-flag",
    "project",
    "-environments",
    "owner",
    "-change",
    "first_seen",
  ]) {
    // Of one customer: another test may have made thousands for others.
    const address = `/flags?${new URLSearchParams({ ...settled(), customer: "acme", sort })}`;
    await live.goto(address);
    await expect(live.locator(".flags-view")).toHaveAttribute("aria-busy", "false");
    await page.goto(`${address}&plain=1&limit=200`);
    const plain = await names(page).allInnerTexts();
    expect(plain.length).toBeGreaterThan(8);
    expect(plain, `sort=${sort}`).toEqual(await names(live).allInnerTexts());
  }
  await scripted.close();
});

test("operators read every stage that the API tells", async ({ page, context, demo, tokens }) => {
  await signIn(context, demo, tokens.operator);
  interface Stage {
    title: string;
    figures: { name: string; label: string }[];
  }
  const { stages } = await demo.get<{ stages: Stage[] }>(tokens.operator, "/v1/operator/pipeline", {});
  await page.goto("/operators?plain=1&sort=-change&window=15m");
  const boxes = page.locator("ol.stages > li");
  await expect(boxes).toHaveCount(stages.length);
  for (const [at, { title, figures }] of stages.entries()) {
    await expect(boxes.nth(at).getByRole("heading")).toHaveText(
      new RegExp(`^${title} ?(ok|late|stuck|not known)$`),
    );
    const told = figures.filter(({ name }) => name !== "dirty_first").map(({ label }) => label);
    for (const label of told) await expect(boxes.nth(at).getByText(label, { exact: true })).toBeVisible();
  }
  await expect(page.locator("th[aria-sort=descending]")).toHaveText(/^Change/);
});

test("names from strangers stay names", async ({ page, context, demo, tokens }) => {
  const key = await demo.addCustomer("plain-strangers");
  const name = "<img src=x onerror=alert(1)>";
  await demo.count(key, [{ flag: name, count: 9 }]);
  await signIn(context, demo, tokens.operator);
  await expect
    .poll(async () => {
      await page.goto(
        `/usage?plain=1&from=${hour(-1)}&resolution=15m&group_by=flag&customer=plain-strangers`,
      );
      return (await page.locator("body").innerText()).includes(name);
    })
    .toBe(true);
  await expect(page.locator('img[src="x"]')).toHaveCount(0);
});
