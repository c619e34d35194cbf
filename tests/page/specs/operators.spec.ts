/** Operators: the pipeline as it is, whose traffic is large, the nodes, and every count's fate. */
import type { Page } from "@playwright/test";
import { tellOfBursts } from "../ground/bursts";
import { AWAY, status } from "../ground/guard";
import { number, tableOf } from "../ground/table";
import { expect, signIn, test } from "../ground/test";
import { freshness } from "../ground/usage";

interface Pipeline {
  stages: {
    id: string;
    title: string;
    state: string;
    figures: { label: string; value: unknown; unit: string }[];
  }[];
}

const stages = (page: Page) => page.getByRole("region", { name: "The way of a count" }).getByRole("listitem");

/** What arrived, and the sum of what became of it, as a row shows them. */
function fatesOf(row: Record<string, string>): { received: number; sum: number } {
  const rejected = /^[\d,]+/.exec(row.Rejected ?? "")?.[0];
  const fates = [row.Stored, row.Duplicate, rejected, row["In flight"]].map((text) => number(text) ?? 0);
  return { received: number(row.Received) ?? -1, sum: fates.reduce((sum, fate) => sum + fate, 0) };
}

async function open(page: Page): Promise<void> {
  await page.goto("/operators");
  await expect(stages(page).first()).toBeVisible();
}

test("each stage of the way of a count is there, with the figures of the API", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  const pipeline = await demo.get<Pipeline>(tokens.operator, "/v1/operator/pipeline");
  await open(page);
  const boxes = page.locator("ol.stages > li");
  await expect(boxes).toHaveCount(pipeline.stages.length);
  expect(await boxes.getByRole("heading", { level: 3 }).allTextContents()).toEqual(
    pipeline.stages.map(({ title }) => title),
  );
  for (const [at, stage] of pipeline.stages.entries()) {
    const counted = stage.figures.filter(({ unit, value }) => unit === "count" && value !== null);
    for (const { label } of counted.slice(0, 1)) await expect(boxes.nth(at)).toContainText(label);
  }
  // A figure that does not change while nothing is wrong.
  const nodes = pipeline.stages.flatMap(({ figures }) => figures).find(({ label }) => label === "nodes live");
  const isNodes = page.locator("dt", { hasText: /^nodes live$/ });
  const line = boxes.locator("dl > div").filter({ has: isNodes });
  await expect(line.locator("dd")).toHaveText(String(nodes?.value));
});

test("the figures are live", async ({ signedIn: page }) => {
  await open(page);
  await expect(freshness(page)).toHaveText("live");
  const first = await page.locator("ol.stages").innerText();
  await expect(page.locator("ol.stages")).not.toHaveText(first);
});

test("what is out of the ordinary is told, the newest first, and leads to its chart", async ({
  signedIn: page,
}) => {
  await tellOfBursts(page, false);
  await open(page);
  const panel = page.getByRole("region", { name: "Out of the ordinary", exact: true });
  await expect(panel).toContainText("Nothing is out of the ordinary.");
  await expect(panel.getByRole("table")).toHaveCount(0);
  await tellOfBursts(page, true);
  await page.reload();
  const table = panel.getByRole("table");
  await expect(table.getByRole("rowheader")).toHaveText([
    "globex › web › production",
    "acme › web › production",
  ]);
  const [drop, burst] = await tableOf(table);
  expect(drop?.What).toContain("drop, still learning");
  expect(drop?.What).toMatch(/muted until .*14:40 UTC: launch of <b>v2<\/b>/);
  expect(drop?.["In all"]).toBe("82,400 missing");
  expect(burst?.What).not.toContain("muted");
  expect(burst?.["A minute"]).toBe("51,200");
  expect(burst?.Expected).toBe("7,800 – 12,200");
  expect(burst?.Times).toBe("5.12 ×");
  expect(burst?.["Most of it from"]).toBe("checkout <b>v2</b>, those without a name");
  await table.getByRole("link", { name: /acme/ }).click();
  await expect(page).toHaveURL(/\/usage\?.*customer=acme/);
});

test("planned mutes are told, those in force before those to come", async ({ signedIn: page }) => {
  await tellOfBursts(page, false);
  await open(page);
  const panel = page.getByRole("region", { name: "Planned mutes", exact: true });
  await expect(panel).toContainText("Nothing is muted, and nothing is going to be.");
  await expect(panel.getByRole("table")).toHaveCount(0);
  await tellOfBursts(page, true);
  await page.reload();
  const table = panel.getByRole("table");
  await expect(table.getByRole("rowheader")).toHaveText(["globex", "acme › web"]);
  const [inForce, toCome] = await tableOf(table);
  expect([inForce?.State, toCome?.State].map((state) => state?.trim())).toEqual(["in force", "to come"]);
  expect(inForce?.Why).toBe("launch of <b>v2</b>");
  expect(inForce?.["Made by"]).toBe("0123456789ab, on call");
  expect(inForce?.["Until (UTC)"]).toContain("14:40");
});

test("nodes are those of the API, each with its state and how far it has got", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  const { nodes } = await demo.get<{ nodes: { node: number; state: string }[] }>(
    tokens.operator,
    "/v1/operator/nodes",
  );
  await open(page);
  const table = page.getByRole("table", { name: "Edge nodes" });
  await expect(table.getByRole("rowheader")).toHaveText(nodes.map(({ node }) => String(node)));
  const shown = await tableOf(table);
  expect(shown.map(({ State }) => State)).toEqual(nodes.map(({ state }) => state));
  expect(shown[0]?.Behind).toMatch(/\d/);
});

test("of every customer all that arrived has a fate, and they add up", async ({
  signedIn: page,
  demo,
  tokens,
}) => {
  const { rows } = await demo.get<{ rows: { customer: string; received: number }[] }>(
    tokens.operator,
    "/v1/reconcile",
  );
  await open(page);
  const table = page.getByRole("table", { name: "Fates by customer" });
  await expect(table.getByRole("rowheader").first()).toBeVisible();
  // While counts are being stored there may be a difference, and none that stays.
  let shown: Record<string, string>[] = [];
  await expect
    .poll(async () => {
      shown = await tableOf(table);
      return shown.filter(({ Balance }) => /differs/.test(Balance ?? ""));
    })
    .toEqual([]);
  expect(shown.map(({ Customer }) => Customer).sort()).toEqual(rows.map(({ customer }) => customer).sort());
  for (const row of shown) {
    const { received, sum } = fatesOf(row);
    if (/balanced/.test(row.Balance ?? "")) expect(sum, row.Customer).toBe(received);
    const before = rows.find(({ customer }) => customer === row.Customer)?.received ?? 0;
    expect(received, row.Customer).toBeGreaterThanOrEqual(before);
  }
});

test("a customer of whose counts none is in flight is balanced", async ({ signedIn: page, demo }) => {
  // Of customers whose fleet never rests the numbers are hardly ever of one moment: only this one is asked for.
  const only = new URLSearchParams({ customer: "resting" });
  await page.route(/\/v1\/reconcile/, (route) => {
    const url = route.request().url();
    return route.continue({ url: `${url}${url.includes("?") ? "&" : "?"}${only}` });
  });
  await demo.count(await demo.addCustomer("resting"), [{ flag: "a", count: 31 }]);
  await open(page);
  const table = page.getByRole("table", { name: "Fates by customer" });
  await expect(table.getByRole("rowheader")).toHaveText(["resting"], { timeout: 120_000 });
  await expect(table).toContainText("balanced", { timeout: 120_000 });
  const [row = {}] = await tableOf(table);
  const { received, sum } = fatesOf(row);
  expect(received).toBeGreaterThanOrEqual(31);
  expect(sum).toBe(received);
});

test("customers are ordered by what they count, and lead to their charts", async ({ signedIn: page }) => {
  await open(page);
  const table = page.getByRole("table", { name: "Customers by what they count" });
  await expect(table.getByRole("rowheader").first()).toBeVisible();
  const rates = async (): Promise<(number | null)[]> =>
    (await tableOf(table)).map(({ Rate }) => number((Rate ?? "").replace(/\s*\/s$/, "")));
  await table.getByRole("button", { name: "Customer" }).click();
  await expect(page).toHaveURL(/sort=customer/);
  await table.getByRole("button", { name: "Rate" }).click();
  await expect(table.getByRole("columnheader", { name: "Rate" })).toHaveAttribute("aria-sort", "descending");
  const down = (await rates()).filter((rate) => rate !== null);
  expect(down).toEqual([...down].sort((a, b) => b - a));
  await page.getByLabel("Rates over").selectOption("1m");
  await expect(page).toHaveURL(/window=1m/);
  await table.getByRole("link", { name: "globex" }).click();
  await expect(page).toHaveURL(/\/usage\?.*customer=globex/);
});

test("an outage is said in the picture, and what was seen stays", async ({ signedIn: page, guard, demo }) => {
  guard.allow(AWAY, status(503));
  await open(page);
  await demo.kill();
  await expect(freshness(page)).toHaveText("not live");
  await expect(stages(page).first()).toBeVisible();
  await demo.again();
  await expect(freshness(page)).toHaveText("live", { timeout: 90_000 });
});

for (const role of ["customer", "billing"] as const) {
  test(`a token of the role ${role} has no way there, and is told so at the address`, async ({
    page,
    context,
    guard,
    demo,
    tokens,
  }) => {
    guard.allow(status(403));
    await signIn(context, demo, tokens[role]);
    await page.goto("/operators");
    await expect(page.getByRole("heading", { name: "This is for operators" })).toBeVisible();
    await expect(
      page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: "Operators" }),
    ).toHaveCount(0);
    await expect(stages(page)).toHaveCount(0);
    await page.getByRole("link", { name: "To the usage" }).click();
    await expect(page).toHaveURL(/\/usage/);
  });
}
