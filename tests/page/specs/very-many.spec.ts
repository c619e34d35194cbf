/**
 * Ten thousand flags. All of them stay in the demo, and views of all customers would show them to the tests that come after:
 * so this file is called what sorts last.
 */
import { number, tableOf } from "../ground/table";
import { expect, test } from "../ground/test";
import { groups, openUsage, total } from "../ground/usage";
import { expectNoSideways } from "../ground/views";

/** They are stored and listed within this time on a machine however slow. */
const ALL_WITHIN_MS = 120_000;

test("a customer with ten thousand flags", async ({ signedIn: page, demo }) => {
  await page.setViewportSize({ width: 360, height: 800 });
  const key = await demo.addCustomer("large");
  const flags = Array.from({ length: 10_000 }, (_, at) => ({
    flag: `flag-${String(at).padStart(5, "0")}`,
    count: 1 + (at % 7),
  }));
  await demo.count(key, flags);
  const all = flags.reduce((sum, { count }) => sum + count, 0);
  await openUsage(page, { from: "-1h", resolution: "15m", customer: "large", group_by: "flag", limit: "5" });
  await expect(total(page)).toHaveText(new Intl.NumberFormat("en-GB").format(all), {
    timeout: ALL_WITHIN_MS,
  });
  const legend = await tableOf(groups(page));
  expect(legend).toHaveLength(6);
  expect(legend.at(-1)?.Group).toBe("all others");
  expect(legend.reduce((sum, { Total }) => sum + (number(Total) ?? 0), 0)).toBe(all);
  await expectNoSideways(page);
  await page.goto("/flags?customer=large&sort=flag");
  const table = page.getByRole("table", { name: "Flags" });
  await expect(table).toHaveAttribute("aria-rowcount", "10001", { timeout: ALL_WITHIN_MS });
  await page.getByRole("searchbox").fill("flag-09876");
  await expect(table.getByRole("rowheader").getByRole("link")).toHaveText(["flag-09876"]);
  await expectNoSideways(page);
});
