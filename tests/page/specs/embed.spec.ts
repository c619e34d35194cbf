/** One chart in the page of somebody else: it is live, it is all there is, and it ends. */
import { status } from "../ground/guard";
import { site } from "../ground/site";
import { expect, test } from "../ground/test";

test("a link shows one chart live in a page of another origin, without anyone signed in", async ({
  browser,
  demo,
  guard,
  tokens,
}) => {
  const key = await demo.addCustomer("embedded");
  const link = await demo.link(tokens.operator, "from=-10m&resolution=10s&customer=embedded&group_by=flag");
  expect(link).not.toContain("fm_");
  await site(
    `<!doctype html><title>Elsewhere</title><iframe title="Chart" width="800" height="420" src="${link}"></iframe>`,
    async (elsewhere) => {
      // Another site's own requests are none of ours.
      guard.allow(new RegExp(`strange host: ${elsewhere}`));
      const context = await browser.newContext();
      guard.watch(context);
      const page = await context.newPage();
      await page.goto(elsewhere);
      const frame = page.frameLocator("iframe");
      await expect(frame.locator("canvas")).toBeVisible();
      await demo.count(key, [{ flag: "shown elsewhere", count: 48_123 }]);
      await expect(frame.locator("body")).toContainText("shown elsewhere");
      await expect(frame.locator("body")).toContainText("48,123");
      await expect(frame.getByRole("navigation", { name: "Views" })).toHaveCount(0);
      expect(await context.cookies()).toEqual([]);
      await context.close();
    },
  );
});

test("the page itself is in no frame of others", async ({ page, demo, guard }) => {
  await site(
    `<!doctype html><title>Elsewhere</title><iframe title="Usage" src="${demo.url}/usage"></iframe>`,
    async (elsewhere) => {
      // That the browser says so as well is what is to happen.
      guard.allow(new RegExp(`strange host: ${elsewhere}`), /frame-ancestors|X-Frame-Options/);
      await page.goto(elsewhere);
      await expect.poll(() => page.frames()[1]?.url()).toMatch(/^chrome-error:/);
      await expect(page.frameLocator("iframe").locator("#page")).toHaveCount(0);
    },
  );
});

test("a link that has expired says so", async ({ page, demo, guard, tokens }) => {
  guard.allow(status(401), status(403), status(404), status(410));
  const link = await demo.link(tokens.operator, "from=-10m", "40s");
  await page.goto(link);
  await expect(page.locator("canvas")).toBeVisible();
  // It ends while it is looked at, and for whoever comes later.
  await expect(page.locator("body")).toContainText("no longer shared", { timeout: 120_000 });
  await page.goto(link);
  await expect(page.locator("body")).toContainText("does not hold, or not any more");
});

test("a link ends with the token that made it", async ({ page, demo, guard }) => {
  guard.allow(status(401), status(403), status(404), status(410));
  const token = await demo.token("customer", { customer: "acme" });
  const link = await demo.link(token, "from=-10m");
  await page.goto(link);
  await expect(page.locator("canvas")).toBeVisible();
  await demo.revoke(token);
  await expect(page.locator("body")).toContainText("no longer shared", { timeout: 90_000 });
});

test("a link is made in the dialog", async ({ signedIn: page }) => {
  await page.goto("/usage?from=-6h&group_by=customer");
  await expect(page.locator(".freshness")).toHaveText("live");
  await page.getByRole("button", { name: "Embed…" }).click();
  const dialog = page.getByRole("dialog", { name: "Embed this chart" });
  await dialog.getByLabel("Title").fill('<b>"Ours"</b>');
  await dialog.getByRole("button", { name: "Make a link" }).click();
  await expect(dialog.getByLabel("Link")).toHaveValue(/\/embed\?link=/);
  await expect(dialog.getByLabel("For a page")).toHaveValue(
    /<iframe src="[^"<>]*" title="&lt;b&gt;&quot;Ours&quot;/,
  );
  await page.goto(await dialog.getByLabel("Link").inputValue());
  await expect(page.locator("canvas")).toBeVisible();
  await expect(page.locator("body")).toContainText('<b>"Ours"</b>');
});
