/** Billing: what is used, its hours, and the statement, as the API has them. */
import { readFile } from "node:fs/promises";
import type { Page } from "@playwright/test";
import { status } from "../ground/guard";
import { tableOf } from "../ground/table";
import { expect, signIn, test } from "../ground/test";
import { hour } from "../ground/time";

interface ToDate {
  from: string;
  tz: string;
  meters: { meter: string; used: string | null; used_final: string; included: string | null }[];
}

const statement = (page: Page) => page.getByRole("region", { name: "Statement", exact: true });
const grouped = (digits: string): string => BigInt(digits).toLocaleString("en-GB");

/** Opens the view, and waits until it has its figures and its hours. */
async function open(page: Page, query: string): Promise<void> {
  await page.goto(`/billing?${query}`);
  await expect(page.getByRole("region", { name: "Evaluations" }).locator(".used > p").first()).toBeVisible();
  await expect(statement(page).getByRole("heading", { level: 2 })).toHaveText(/^Statement of/);
}

test("what is used is what the API says", async ({ signedIn: page, demo, tokens }) => {
  await open(page, "customer=wonka");
  // It grows while it is looked at: what the API says before and after has it between.
  const used = async (): Promise<bigint> => {
    const answer = await demo.get<ToDate>(tokens.operator, "/v1/billing/usage-to-date", {
      customer: "wonka",
    });
    return BigInt(answer.meters.find(({ meter }) => meter === "evaluations")?.used ?? "-1");
  };
  // In the first moments of a period there is nothing yet.
  await expect.poll(used).toBeGreaterThan(0n);
  const before = await used();
  await page.reload();
  const figure = page.getByRole("region", { name: "Evaluations" }).locator(".used > p").first();
  const shown = BigInt((await figure.innerText()).replaceAll(",", ""));
  expect(shown).toBeGreaterThanOrEqual(before);
  expect(shown).toBeLessThanOrEqual(await used());
});

test("of what is included it says how much is used", async ({ signedIn: page, demo, tokens }) => {
  const answer = await demo.get<ToDate>(tokens.operator, "/v1/billing/usage-to-date", { customer: "acme" });
  const meter = answer.meters.find(({ included }) => included !== null);
  expect(meter, "the demo's acme has a plan").toBeDefined();
  await open(page, "customer=acme");
  const card = page.getByRole("region", { name: meter?.meter === "requests" ? "Requests" : "Evaluations" });
  await expect(card).toContainText(`of ${grouped(meter?.included ?? "0")} included`);
});

test("the hours are those of the API, each with its state", async ({ signedIn: page, demo, tokens }) => {
  const range = { from: hour(-12), to: hour(-6) };
  const table = page.getByRole("region", { name: "Hours", exact: true }).getByRole("table");
  // An hour may become final between two looks: then both look again.
  await expect(async () => {
    await open(page, `customer=globex&from=${range.from}&to=${range.to}`);
    const shown = (await tableOf(table)).map(
      ({ Environment, Count, State }) => `${Environment} ${Count} ${State?.replace(", replaced", "")}`,
    );
    const { rows } = await demo.get<{ rows: { environment: string; count: string; state: string }[] }>(
      tokens.operator,
      "/v1/billing/hours",
      { customer: "globex", meter: "evaluations", limit: "100", ...range },
    );
    expect(rows.length).toBeGreaterThan(6);
    expect(shown).toEqual(
      rows.map(({ environment, count, state }) => {
        const shape = { open: "○", closing: "◐", final: "●" }[state];
        return `${environment} ${grouped(count)} ${shape} ${state}`;
      }),
    );
  }).toPass({ timeout: 180_000 });
});

for (const [name, format, draft] of [
  ["CSV", "csv", "true"],
  ["JSON", "json", "true"],
] as const) {
  test(`the statement as ${name} is byte for byte what the API gives`, async ({
    signedIn: page,
    demo,
    tokens,
  }) => {
    const { from } = await demo.get<ToDate>(tokens.operator, "/v1/billing/usage-to-date", {
      customer: "globex",
    });
    const answer = async (format: string): Promise<string> => {
      const params = new URLSearchParams({ customer: "globex", period: from.slice(0, 7), format, draft });
      const answer = await fetch(`${demo.url}/v1/billing/statement?${params}`, {
        headers: { authorization: `Bearer ${tokens.operator.text}` },
      });
      expect(answer.status).toBe(200);
      return answer.text();
    };
    await open(page, "customer=globex");
    await expect(statement(page)).toContainText("draft");
    // Until the first hour of a period is final there are none.
    const { totals } = JSON.parse(await answer("json")) as { totals: { environment: string }[] };
    if (totals.length > 0) {
      const shown = page.getByRole("region", { name: "Totals of the statement" }).getByRole("table");
      // The page looks again once a minute.
      await expect(shown).toBeVisible({ timeout: 150_000 });
      for (const { Environment } of await tableOf(shown))
        expect(totals.map(({ environment }) => environment)).toContain(Environment);
    }
    const before = await answer(format);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      statement(page).getByRole("button", { name, exact: true }).click(),
    ]);
    const file = await readFile(await download.path(), "utf8");
    // An hour may become final meanwhile.
    expect([before, await answer(format)]).toContain(file);
    expect(download.suggestedFilename()).toContain("globex");
    if (format === "csv") for (const { environment } of totals) expect(file).toContain(environment);
  });
}

test("a customer that cannot be billed by full hours is told why", async ({ signedIn: page, guard }) => {
  guard.allow(status(400));
  await page.goto("/billing?customer=initech");
  await expect(page.getByRole("heading", { name: "No answer" })).toBeVisible();
  await expect(page.locator("main")).toContainText("full hours");
});

test("another period is chosen, and the address keeps it", async ({ signedIn: page }) => {
  await open(page, "customer=globex");
  const now = await statement(page).getByRole("heading", { level: 2 }).innerText();
  await page.getByLabel("Period", { exact: true }).selectOption({ index: 1 });
  await expect(page).toHaveURL(/period=\d{4}-\d\d/);
  await expect(statement(page).getByRole("heading", { level: 2 })).not.toHaveText(now);
  const heading = await statement(page).getByRole("heading", { level: 2 }).innerText();
  await page.reload();
  await expect(statement(page).getByRole("heading", { level: 2 })).toHaveText(heading);
  await page.goBack();
  await expect(page).not.toHaveURL(/period=/);
});

test("of a period without a statement nothing is said that is true of the one that runs", async ({
  signedIn: page,
  guard,
}) => {
  guard.allow(status(404));
  await open(page, "customer=globex");
  const ofNow = page.getByText("Everything is in until");
  await expect(ofNow).toBeVisible();
  const problem = { type: "about:blank", title: "Not found", status: 404, detail: "It has no statement." };
  const answer = { status: 404, contentType: "application/problem+json", body: JSON.stringify(problem) };
  await page.route(/\/v1\/billing\/statement/, (route) => route.fulfill(answer));
  await page.getByLabel("Period", { exact: true }).selectOption({ index: 1 });
  await expect(statement(page)).toContainText("It has no statement.");
  await expect(ofNow).toBeHidden();
});

test("the bill of one customer is not shown under the name of another", async ({ signedIn: page }) => {
  await open(page, "customer=acme");
  const hours = page.getByRole("region", { name: "Hours of the period" });
  await expect(hours).toBeVisible();
  let answer = (): void => {};
  const answered = new Promise<void>((go) => {
    answer = go;
  });
  await page.route(/\/v1\/billing\/.*customer=globex/, async (route) => {
    await answered;
    await route.continue();
  });
  await page.getByLabel("Customer").selectOption("globex");
  await expect(page).toHaveURL(/customer=globex/);
  await expect(hours).toBeHidden();
  await expect(statement(page)).toBeHidden();
  answer();
  await expect(hours).toBeVisible();
  await expect(statement(page)).toBeVisible();
});

test("a customer sees its own bill, and is not asked for which", async ({ page, context, demo, tokens }) => {
  await signIn(context, demo, tokens.customer);
  await open(page, "");
  await expect(page.getByLabel("Customer")).toBeHidden();
  const answer = await demo.get<ToDate>(tokens.customer, "/v1/billing/usage-to-date", { customer: "acme" });
  await expect(page.locator("main")).toContainText(answer.tz);
});
