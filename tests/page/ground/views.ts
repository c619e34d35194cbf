/** Every view, at an address at which it has something to show, and what is there once it shows it. */
import type { Page } from "@playwright/test";
import { expect } from "@playwright/test";

export interface View {
  name: string;
  address: string;
  /** Waits until it is drawn. */
  drawn(page: Page): Promise<void>;
}

const chartIs = async (page: Page): Promise<void> => {
  await expect(page.locator(".freshness")).toHaveText("live");
  await expect(page.locator(".plot canvas")).toBeVisible();
  await expect(page.locator(".usage-total .number, .figure .readout strong").first()).not.toHaveText("–");
};

export const VIEWS: readonly View[] = [
  {
    name: "usage",
    address: "/usage?from=-24h&resolution=15m&group_by=flag&customer=acme",
    drawn: chartIs,
  },
  {
    name: "usage-table",
    address: "/usage?from=-24h&resolution=1h&group_by=customer&view=table&compare=previous",
    drawn: async (page) => {
      await expect(
        page.getByRole("region", { name: "Counts as a table" }).getByRole("row").nth(5),
      ).toBeVisible();
    },
  },
  {
    name: "flags",
    address: "/flags",
    drawn: async (page) => {
      await expect(page.locator(".flags-view")).toHaveAttribute("aria-busy", "false");
      await expect(page.getByRole("table", { name: "Flags" }).getByRole("rowheader").nth(3)).toBeVisible();
    },
  },
  {
    name: "flag",
    address: "/flags/acme/web/checkout-v2?from=-24h",
    drawn: async (page) => {
      await expect(page.getByRole("heading", { level: 1 })).toHaveText("checkout-v2");
      await expect(page.getByRole("region", { name: "Environments" }).getByRole("row").nth(1)).toBeVisible();
      await expect(page.locator("dl.facts > *").first()).toBeVisible();
      await expect(page.locator(".plot canvas")).toBeVisible();
    },
  },
  {
    name: "billing",
    address: "/billing?customer=acme",
    drawn: async (page) => {
      await expect(
        page.getByRole("region", { name: "Evaluations" }).locator(".used > p").first(),
      ).toBeVisible();
      await expect(
        page.getByRole("region", { name: "Hours", exact: true }).getByRole("row").nth(1),
      ).toBeVisible();
      // Until the first hour of a period is final there is nothing on its statement.
      const totals = page.getByRole("region", { name: "Totals of the statement" });
      await expect(totals.or(page.getByText("Nothing was counted in it."))).toBeVisible();
    },
  },
  {
    name: "operators",
    address: "/operators",
    drawn: async (page) => {
      await expect(page.locator("ol.stages > li").first()).toBeVisible();
      for (const name of ["Customers by what they count", "Edge nodes", "Fates by customer"]) {
        await expect(page.getByRole("table", { name }).getByRole("rowheader").first()).toBeVisible();
      }
    },
  },
];

export const WIDTHS = [360, 820, 1440] as const;
export const SCHEMES = ["light", "dark"] as const;

/** What opens over the page, by the key that opens it. */
export const DIALOGS: readonly { name: string; address: string; open(page: Page): Promise<void> }[] = [
  { name: "Keys and words", address: "/usage", open: (page) => page.keyboard.press("?") },
  { name: "Time zone", address: "/usage", open: (page) => page.keyboard.press("z") },
  { name: "Filter", address: "/usage", open: (page) => page.keyboard.press("f") },
  { name: "Range", address: "/usage", open: (page) => page.keyboard.press("r") },
  {
    name: "Embed this chart",
    address: "/usage",
    open: (page) => page.getByRole("button", { name: "Embed…" }).click(),
  },
];

/** Nothing makes the page wider than the window. */
export async function expectNoSideways(page: Page): Promise<void> {
  const [wide, window] = await page.evaluate(
    () => [document.documentElement.scrollWidth, innerWidth] as const,
  );
  expect(wide, "the page does not scroll sideways").toBeLessThanOrEqual(window);
}
