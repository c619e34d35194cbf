/** What is counted comes to the open chart, to the right one and to the right place. */
import { untilDrawn } from "../ground/drawn";
import { number, tableOf } from "../ground/table";
import { expect, test } from "../ground/test";
import { hour } from "../ground/time";
import { freshness, groups, openUsage, total } from "../ground/usage";

// That it takes three seconds at most is asserted where times are measured: `run --figures`.
test("what a real SDK counts comes to the open chart", async ({ signedIn: page, demo }, info) => {
  const key = await demo.addCustomer("sdk", ["checkout"]);
  await openUsage(page, { from: "-10m", resolution: "10s", customer: "sdk", group_by: "flag" });
  await expect(total(page)).toHaveText("0");
  const took = await untilDrawn(page, demo, key, "checkout", 57);
  info.annotations.push({ type: "from acknowledged to drawn", description: `${took} ms` });
  console.log(`from acknowledged to drawn: ${took} ms`);
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
  // Hours that stay the same ones whatever the clock does meanwhile.
  const range = { from: hour(-6), to: hour(1) };
  const [now, then] = [hour(0), hour(-3)];
  await openUsage(page, { ...range, resolution: "1h", customer: "late", view: "table" });
  await demo.count(key, [{ flag: "a", count: 5, at: now }]);
  await expect(total(page)).toHaveText("5");
  await demo.count(key, [{ flag: "a", count: 7, at: then }]);
  await expect(total(page)).toHaveText("12");
  const rows = await tableOf(page.getByRole("region", { name: "Counts as a table" }).getByRole("table"));
  const countIn = (start: string): number | null =>
    number(rows.find(({ Time }) => Time?.includes(`${start.slice(11, 16)} – `))?.Evaluations);
  expect(countIn(now)).toBe(5);
  expect(countIn(then)).toBe(7);
});
