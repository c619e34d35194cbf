/** Names are somebody's words: whatever is in them, they are shown as they are, and break nothing. */
import type { Page } from "@playwright/test";
import { expect, test } from "../ground/test";
import { counts, groups, openTable, openUsage } from "../ground/usage";

const NAMES = [
  "n".repeat(200),
  "新结账流程-第二版",
  "تجربة-الدفع-الجديدة",
  "<img src=x onerror=alert(1)>\"'&amp;",
  "javascript:alert(1)",
  "with spaces / and ? & # % signs",
  "🏳️‍🌈 half-price",
  "__proto__",
];
/** With a letter that no name is found by: which order they have is of no interest. */
const sorted = (names: readonly string[]): string[] => [...names].sort();

async function expectUnbroken(page: Page): Promise<void> {
  const widths = await page.evaluate(() => ({
    page: document.documentElement.scrollWidth,
    window: innerWidth,
  }));
  expect(widths.page, "the page does not scroll sideways").toBeLessThanOrEqual(widths.window);
  expect(await page.locator('img[src="x"]').count(), "no markup of a name is in the page").toBe(0);
}

test.beforeEach(async ({ demo, tokens, signedIn: page }) => {
  const key = await demo.addCustomer("strangers", NAMES.slice(0, 3));
  await demo.count(
    key,
    NAMES.map((flag, at) => ({ flag, count: at + 1, variant: `variant ${NAMES[at] ?? ""}`.slice(0, 60) })),
  );
  // A list of flags looks again once a minute: it is opened when all of them are in.
  await expect
    .poll(async () => {
      const answer = await demo.get<{ flags: { total: number | null }[] }>(tokens.operator, "/v1/flags", {
        customer: "strangers",
      });
      return answer.flags.filter(({ total }) => total).length;
    })
    .toBe(NAMES.length);
  await page.setViewportSize({ width: 360, height: 800 });
});

test("on usage", async ({ signedIn: page }) => {
  await openUsage(page, { from: "-1h", resolution: "15m", customer: "strangers", group_by: "flag" });
  await expect(groups(page).getByRole("row")).toHaveCount(NAMES.length + 1);
  const legend = await groups(page).getByRole("rowheader").allTextContents();
  expect(sorted(legend)).toEqual(sorted(NAMES));
  await expectUnbroken(page);
  await openTable(page);
  const head = await counts(page).getByRole("columnheader").allTextContents();
  expect(sorted(head.slice(-NAMES.length))).toEqual(sorted(NAMES));
  await expectUnbroken(page);
  // Each is a filter like any other.
  const address = page.url();
  for (const name of NAMES.slice(3, 6)) {
    await groups(page).getByRole("button", { name, exact: true }).click();
    await expect.poll(() => new URL(page.url()).searchParams.get("flag")).toBe(name);
    await page.getByRole("button", { name: `Without the filter flag ${name}`, exact: true }).click();
    await expect.poll(() => new URL(page.url()).searchParams.has("flag")).toBe(false);
    await page.goto(address);
    await expect(groups(page).getByRole("row")).toHaveCount(NAMES.length + 1);
  }
  await expectUnbroken(page);
});

test("in the list of flags, and on the page of each", async ({ signedIn: page }) => {
  await page.goto("/flags?customer=strangers");
  const names = page.getByRole("table", { name: "Flags" }).getByRole("rowheader").getByRole("link");
  await expect(names).toHaveCount(NAMES.length);
  expect(sorted(await names.allTextContents())).toEqual(sorted(NAMES));
  await expectUnbroken(page);
  for (const name of NAMES) {
    await names.getByText(name, { exact: true }).click();
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(name);
    await expect(page).toHaveTitle(`${name} · flagmeter`);
    await expect(page.locator("main")).not.toContainText("No such flag");
    await expectUnbroken(page);
    await page.goBack();
    await expect(names).toHaveCount(NAMES.length);
  }
});

test("a search for any of them finds it", async ({ signedIn: page }) => {
  await page.goto("/flags?customer=strangers");
  const names = page.getByRole("table", { name: "Flags" }).getByRole("rowheader").getByRole("link");
  await expect(names).toHaveCount(NAMES.length);
  for (const name of ["新结账", "الدفع", "<img", "% SIGNS"]) {
    await page.getByRole("searchbox").fill(name);
    await expect(names).toHaveCount(1);
  }
});
