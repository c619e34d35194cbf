/** Questions without an answer, and places that are not there: each says what it is, and what can be done. */
import { status } from "../ground/guard";
import { expect, signIn, test } from "../ground/test";
import { hour } from "../ground/time";
import { answered, chart, freshness, openTable, openUsage, total } from "../ground/usage";

const day = (from: number): string => hour(from * 24).slice(0, 10);

test("a range of which nothing is known says so, and shows no zero", async ({ signedIn: page }) => {
  await page.goto(`/usage?from=${day(-400)}&to=${day(-398)}&resolution=1d`);
  await expect(freshness(page)).toHaveText("live");
  await expect(page.locator(".usage-total")).toContainText("not known");
  await expect(page.locator(".notices")).toContainText("which is not zero");
  await openTable(page);
  const table = page.getByRole("region", { name: "Counts as a table" });
  await expect(table).toContainText("not known");
  await expect(table.getByRole("cell", { name: "0", exact: true })).toHaveCount(0);
});

test("a range in which nothing was counted is zero, and says that this is known", async ({
  signedIn: page,
  demo,
}) => {
  await demo.addCustomer("silent");
  await openUsage(page, { from: hour(-3), to: hour(-1), resolution: "15m", customer: "silent" });
  await expect(total(page)).toHaveText("0");
  await expect(page.locator(".figure")).toContainText("it is zero");
});

test("a range that is still to come says so", async ({ signedIn: page }) => {
  await page.goto(`/usage?from=${hour(2)}&to=${hour(4)}&resolution=1h`);
  await expect(page.locator("main")).toContainText(/still to come|not there yet/);
});

test("what is beyond the time that is kept says where it is still to be had", async ({ signedIn: page }) => {
  await page.goto(`/usage?from=${hour(-24 * 8)}&to=${hour(-24 * 8 + 1)}&resolution=10s`);
  const notices = page.locator(".notices");
  await expect(notices).toContainText("is no longer kept by 10 seconds");
  await notices.getByRole("button", { name: /^Show by/ }).click();
  await expect(page).toHaveURL(/resolution=1m(&|$)/);
  await expect(notices).not.toContainText("10 seconds");
});

test("more than one answer holds is refused in words, with ways out", async ({ signedIn: page, guard }) => {
  guard.allow(status(422));
  await page.goto("/usage?from=-30d&resolution=10s");
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("more than one answer holds");
  await expect(chart(page)).toBeHidden();
  await alert.getByRole("button", { name: "The resolution that fits" }).click();
  await answered(page);
  await expect(page).toHaveURL(/\/usage\?from=-30d$/);
  await expect(alert).toBeHidden();
});

for (const [what, address, way, after] of [
  ["a range that is none", "/usage?from=yesterday", "Without from", /\/usage$/],
  ["a zone that is none", "/usage?tz=Mars/Phobos", "Without tz", /\/usage$/],
] as const) {
  test(`${what} is said to be wrong, with a way out`, async ({ signedIn: page, guard }) => {
    guard.allow(status(400), status(404), status(422));
    await page.goto(address);
    const alert = page.getByRole("alert");
    await expect(alert.getByRole("heading", { name: "There is no answer" })).toBeVisible();
    await alert.getByRole("button", { name: way }).click();
    await answered(page);
    await expect(page).toHaveURL(after);
  });
}

test("a customer does not learn whether another one is there", async ({
  page,
  context,
  guard,
  demo,
  tokens,
}) => {
  guard.allow(status(400), status(403), status(404));
  await signIn(context, demo, tokens.customer);
  const said: string[] = [];
  for (const customer of ["globex", "nobody"]) {
    await page.goto(`/usage?customer=${customer}`);
    const alert = page.getByRole("alert");
    await expect(alert.getByRole("heading")).toBeVisible();
    said.push((await alert.innerText()).replaceAll(customer, "…"));
  }
  expect(said[0]).toBe(said[1]);
});

test("an address that is none says so, and leads on", async ({ signedIn: page, guard }) => {
  guard.allow(status(404));
  await page.goto("/nothing-is-here");
  await expect(page.getByRole("heading", { name: "There is nothing here" })).toBeVisible();
  await page.getByRole("link", { name: "To the usage" }).click();
  await answered(page);
});

test("a flag that is none says so", async ({ signedIn: page }) => {
  await page.goto("/flags/acme/web/no-such-flag");
  await expect(page.getByRole("heading", { name: "No such flag" })).toBeVisible();
  const crumbs = page.getByRole("navigation", { name: "Where this is" });
  await crumbs.getByRole("link", { name: "Flags" }).click();
  await expect(page).toHaveURL(/\/flags/);
  await expect(page.getByRole("table", { name: "Flags" })).toBeVisible();
});

test("where flags are refused nothing is left to be saved of those before", async ({
  signedIn: page,
  guard,
}) => {
  guard.allow(status(400));
  await page.goto("/flags");
  const file = page.getByRole("button", { name: "CSV" });
  await expect(file).toBeEnabled();
  const problem = { type: "about:blank", title: "Bad request", status: 400, detail: "Not this range." };
  const answer = { status: 400, contentType: "application/problem+json", body: JSON.stringify(problem) };
  await page.route(/\/v1\/flags/, (route) => route.fulfill(answer));
  await page.getByRole("radio", { name: "7 days" }).check();
  await expect(page.getByRole("heading", { name: "No answer" })).toBeVisible();
  await expect(file).toBeDisabled();
});

test("a bill of a customer that is none says so", async ({ signedIn: page, guard }) => {
  guard.allow(status(400), status(404));
  await page.goto("/billing?customer=nobody");
  const why = page.locator(".empty").filter({ has: page.getByRole("heading", { name: "No answer" }) });
  await expect(why.getByRole("paragraph")).toContainText("nobody");
});
