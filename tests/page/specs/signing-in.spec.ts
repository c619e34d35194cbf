/** Signing in and out, and a token that is not in force any more while the page is open. */

import type { Page } from "@playwright/test";
import { status } from "../ground/guard";
import { COOKIE, expect, signIn, test } from "../ground/test";

const VIEWS = "/usage?from=-6h&resolution=15m&group_by=customer";

test.beforeEach(({ guard }) => {
  // Whoever is not signed in is told so by the API as well.
  guard.allow(status(401));
});

async function giveToken(page: Page, text: string): Promise<void> {
  await page.getByLabel("Token", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Sign in" }).click();
}

const navigation = (page: Page) => page.getByRole("navigation", { name: "Views" }).getByRole("link");

for (const [role, views] of [
  ["operator", ["Usage", "Flags", "Billing", "Operators"]],
  ["billing", ["Usage", "Flags", "Billing"]],
  ["customer", ["Usage", "Flags", "Billing"]],
] as const) {
  test(`a token of the role ${role} signs in and finds its views`, async ({ page, tokens }) => {
    await page.goto("/");
    await giveToken(page, tokens[role].text);
    await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
    await expect(navigation(page)).toHaveText([...views]);
    await expect(page).toHaveURL(/\/usage$/);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Usage");
  });
}

test("a wrong token is refused in words, and another can be given", async ({ page, tokens }) => {
  await page.goto("/usage");
  await giveToken(page, "fm_0123456789ab_guess");
  await expect(page.getByRole("alert")).toContainText("not in force");
  await expect(page.getByLabel("Token", { exact: true })).toBeFocused();
  await giveToken(page, tokens.billing.text);
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
});

test("a token is kept where no script reads it", async ({ page, context, tokens }) => {
  await page.goto("/usage");
  await giveToken(page, tokens.operator.text);
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  const readable = await page.evaluate(() => ({
    cookie: document.cookie,
    kept: JSON.stringify({ ...localStorage }) + JSON.stringify({ ...sessionStorage }),
    address: location.href,
    state: JSON.stringify(history.state),
    markup: document.documentElement.outerHTML,
    fields: [...document.querySelectorAll("input")].map((input) => input.value).join(),
  }));
  for (const [where, text] of Object.entries(readable)) expect(text, where).not.toContain("fm_");
  const cookies = (await context.cookies()).filter((cookie) => cookie.value.includes("fm_"));
  expect(cookies).toHaveLength(1);
  expect(cookies[0]).toMatchObject({ name: COOKIE, httpOnly: true, sameSite: "Lax", path: "/" });
});

test("whoever comes from an address is there after signing in", async ({ page, tokens }) => {
  await page.goto(VIEWS);
  await giveToken(page, tokens.operator.text);
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Usage");
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe(VIEWS);
});

test("signing out takes the token away", async ({ page, context, demo, tokens }) => {
  await signIn(context, demo, tokens.operator);
  await page.goto(VIEWS);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in");
  expect((await context.cookies()).filter((cookie) => cookie.value.includes("fm_"))).toEqual([]);
  expect((await page.request.get("/v1/usage")).status()).toBe(401);
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in");
  expect(page.url()).toContain("group_by=customer");
});

for (const path of [
  "/usage?from=-1h&resolution=1m&group_by=flag",
  "/flags?q=checkout&sort=flag&from=-7d",
  "/billing",
]) {
  test(`a token that is revoked while ${path} is open is asked for anew`, async ({
    page,
    context,
    demo,
    tokens,
  }) => {
    const doomed = await demo.token("customer", { customer: "acme" });
    await signIn(context, demo, doomed);
    await page.goto(path);
    await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
    const before = page.url();
    const heading = await page.getByRole("heading", { level: 1 }).textContent();
    await demo.revoke(doomed);
    // Nobody touches the page: it learns by its stream, or by what it asks next.
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in", { timeout: 90_000 });
    expect(page.url()).toBe(before);
    await giveToken(page, tokens.customer.text);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText(heading ?? "");
    expect(page.url()).toBe(before);
  });
}

test("a token that expires while the page is open is asked for anew", async ({
  page,
  context,
  demo,
  tokens,
}) => {
  await signIn(context, demo, await demo.token("customer", { customer: "acme", expires: "40s" }));
  await page.goto("/usage?from=-1h&resolution=1m");
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  const before = page.url();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Sign in", { timeout: 120_000 });
  expect(page.url()).toBe(before);
  await giveToken(page, tokens.customer.text);
  await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
  expect(page.url()).toBe(before);
});
