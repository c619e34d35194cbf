/** What an SDK counts is on the open chart within three seconds. */
import { evaluate } from "../ground/sdk";
import { number, tableOf } from "../ground/table";
import { expect, test } from "../ground/test";
import { freshness, groups, openUsage, total } from "../ground/usage";

/** From the moment at which the SDK was told that its counts are taken. */
const WITHIN_MS = 3_000;

test("what a real SDK counts is on the open chart within three seconds", async ({
  signedIn: page,
  demo,
}, info) => {
  const key = await demo.addCustomer("sdk", ["checkout"]);
  await openUsage(page, { from: "-10m", resolution: "10s", customer: "sdk", group_by: "flag" });
  await expect(total(page)).toHaveText("0");
  // The page itself says when it shows them: looking again and again would take longer than it takes.
  const seen = page.evaluate(
    () =>
      new Promise<number>((shown) => {
        const observer = new MutationObserver(() => {
          const rows = [...document.querySelectorAll(".legend tbody tr")].map((row) => row.textContent ?? "");
          if (!rows.some((text) => text.includes("checkout") && text.includes("57"))) return;
          observer.disconnect();
          requestAnimationFrame(() => shown(Date.now()));
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
      }),
  );
  const acknowledgedAt = await evaluate(demo, key, "checkout", 57);
  const took = (await seen) - acknowledgedAt;
  info.annotations.push({ type: "from acknowledged to drawn", description: `${took} ms` });
  expect(took).toBeLessThan(WITHIN_MS);
  await expect(total(page)).toHaveText("57");
  const [row] = await tableOf(groups(page));
  expect(row?.Group).toBe("checkout");
  expect(number(row?.Total)).toBe(57);
});

test("counts of one chart are not counted on another", async ({ signedIn: page, context, demo }) => {
  const key = await demo.addCustomer("one");
  await demo.addCustomer("other");
  const other = await context.newPage();
  await openUsage(page, { from: "-10m", resolution: "10s", customer: "one" });
  await openUsage(other, { from: "-10m", resolution: "10s", customer: "other" });
  await demo.count(key, [{ flag: "a", count: 11 }]);
  await expect(total(page)).toHaveText("11");
  await demo.count(key, [{ flag: "b", count: 4 }]);
  await expect(total(page)).toHaveText("15");
  await expect(total(other)).toHaveText("0");
  await expect(freshness(other)).toHaveText("live");
});

test("late counts land in the bucket where they belong", async ({ signedIn: page, demo }) => {
  const key = await demo.addCustomer("late");
  await openUsage(page, { from: "-6h", resolution: "1h", customer: "late", view: "table" });
  await demo.count(key, [{ flag: "a", count: 5 }]);
  await expect(total(page)).toHaveText("5");
  const threeHours = new Date(Date.now() - 3 * 3_600_000).toISOString();
  await demo.count(key, [{ flag: "a", count: 7, at: threeHours }]);
  await expect(total(page)).toHaveText("12");
  const rows = await tableOf(page.getByRole("region", { name: "Counts as a table" }).getByRole("table"));
  expect(number(rows[0]?.Evaluations)).toBe(5);
  expect(number(rows[3]?.Evaluations)).toBe(7);
});
