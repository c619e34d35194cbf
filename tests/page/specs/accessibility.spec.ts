/** What axe finds in every view, at three widths, in light and dark: nothing. */
import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { tellOfBursts } from "../ground/bursts";
import { status } from "../ground/guard";
import { expect, test } from "../ground/test";
import { answered } from "../ground/usage";
import { DIALOGS, expectNoSideways, SCHEMES, VIEWS, WIDTHS } from "../ground/views";

async function expectNoViolation(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const told = violations.map(({ id, help, nodes }) => ({
    id,
    help,
    where: nodes.slice(0, 5).map(({ target, failureSummary }) => `${target.join(" ")}: ${failureSummary}`),
  }));
  expect(told).toEqual([]);
}

async function expectNoViolationInAnyColours(page: Page): Promise<void> {
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await expectNoViolation(page);
  }
}

async function expectNoViolationAtAnyWidth(page: Page): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 900 });
    await expectNoViolationInAnyColours(page);
    await expectNoSideways(page);
  }
}

for (const view of VIEWS) {
  for (const width of WIDTHS) {
    test(`${view.name} at ${width} px`, async ({ signedIn: page }) => {
      await page.setViewportSize({ width, height: 900 });
      await page.goto(view.address);
      await view.drawn(page);
      // Where there is little room, what is chosen rarely stands behind a button.
      const options = page.getByRole("button", { name: "Options", exact: true });
      if (await options.isVisible()) await options.click();
      await expectNoViolationInAnyColours(page);
      await expectNoSideways(page);
    });
  }
}

test("operators with a burst and a drop", async ({ signedIn: page }) => {
  await tellOfBursts(page, true);
  await page.goto("/operators");
  await expect(page.getByRole("table", { name: "Bursts and drops that are not over" })).toBeVisible();
  await expectNoViolationAtAnyWidth(page);
});

for (const { name, address, open } of DIALOGS) {
  test(`the dialog "${name}"`, async ({ signedIn: page }) => {
    await page.goto(address);
    await answered(page);
    await open(page);
    await expect(page.getByRole("dialog", { name })).toBeVisible();
    await expectNoViolationAtAnyWidth(page);
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toHaveCount(0);
  });
}

test("the dialog with a link in it", async ({ signedIn: page }) => {
  await page.goto("/usage");
  await answered(page);
  await page.getByRole("button", { name: "Embed…" }).click();
  const dialog = page.getByRole("dialog", { name: "Embed this chart" });
  await dialog.getByRole("button", { name: "Make a link" }).click();
  await expect(dialog.getByLabel("For a page")).toBeVisible();
  await expectNoViolationAtAnyWidth(page);
});

test("a chart in the page of somebody else", async ({ page, demo, tokens }) => {
  await page.goto(await demo.link(tokens.operator, "from=-1h&resolution=1m&group_by=customer"));
  await expect(page.locator(".freshness")).toHaveText("live");
  await expect(page.getByRole("table", { name: "Groups" }).getByRole("rowheader").first()).toBeVisible();
  await expectNoViolationAtAnyWidth(page);
});

test("a chart whose link does not hold", async ({ page, guard }) => {
  guard.allow(status(401));
  await page.goto("/embed?link=none");
  await expect(page.locator("body")).toContainText("does not hold");
  await expectNoViolationAtAnyWidth(page);
});

test("a question without an answer", async ({ signedIn: page, guard }) => {
  guard.allow(status(400));
  await page.goto("/usage?from=yesterday");
  await expect(page.getByRole("alert").getByRole("heading")).toBeVisible();
  await expectNoViolationAtAnyWidth(page);
});

test("the form to sign in, empty and refused", async ({ page, guard }) => {
  guard.allow(status(401));
  await page.goto("/usage");
  await expect(page.getByLabel("Token", { exact: true })).toBeVisible();
  await expectNoViolationAtAnyWidth(page);
  await page.getByLabel("Token", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert")).toContainText("not in force");
  await expectNoViolation(page);
});

test("colours are chosen by hand, and kept", async ({ signedIn: page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/usage");
  await answered(page);
  const paper = (): Promise<string> =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await paper();
  await page.keyboard.press("d");
  await page.keyboard.press("d");
  await expect(page.getByRole("button", { name: "Colours: dark" })).toBeVisible();
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.reload();
  await answered(page);
  expect(await paper()).toBe(dark);
  await expectNoViolation(page);
});
