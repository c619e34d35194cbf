/** The time zone: chosen once, and then the question, the axis and the table are in it. */
import type { Page } from "@playwright/test";
import { tableOf } from "../ground/table";
import { expect, signIn, test } from "../ground/test";
import { settled, settledDays } from "../ground/time";
import { answered, answerTo, buckets, counts, expectSameAsApi, openTable, openUsage } from "../ground/usage";

// Far from all zones that are asked for: what shows a browser's own time by mistake shows a wrong one.
test.use({ timezoneId: "Pacific/Honolulu" });

/** Keeps what is written on canvases: the words of the axes. */
async function listenToCanvases(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const said: string[] = [];
    Object.assign(window, { said });
    const fillText = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text: string, ...place) {
      said.push(text);
      return fillText.call(this, text, ...(place as [number, number]));
    };
  });
}

/** The times of day on the axis as it was drawn last. */
async function axisTimes(page: Page): Promise<string[]> {
  const said = await page.evaluate(() => (window as unknown as { said: string[] }).said.splice(0));
  return [...new Set(said)].filter((text) => /^\d\d:\d\d$/.test(text));
}

async function chooseZone(page: Page, zone: string): Promise<void> {
  await page.getByRole("button", { name: /^Time zone/ }).click();
  const dialog = page.getByRole("dialog", { name: "Time zone" });
  await dialog.getByLabel("Time zone").fill(zone);
  await dialog.getByRole("button", { name: "Use it" }).click();
  await expect(dialog).toBeHidden();
}

for (const [zone, offset] of [
  ["Africa/Lagos", "+01:00"],
  ["Asia/Kolkata", "+05:30"],
] as const) {
  test(`in ${zone} question, axis and table are that zone's`, async ({ signedIn: page, demo, tokens }) => {
    await listenToCanvases(page);
    await openUsage(page, { ...settled(6), resolution: "15m", tz: "UTC" });
    const questions: string[] = [];
    page.on("request", (request) => {
      if (request.url().includes("/v1/live?"))
        questions.push(new URL(request.url()).searchParams.get("tz") ?? "");
    });
    await axisTimes(page);
    await chooseZone(page, zone);
    await expect(page).toHaveURL(new RegExp(`tz=${zone}`));
    await answered(page);
    await openTable(page);
    const usage = await expectSameAsApi(page, demo, tokens.operator);
    expect(usage.tz).toBe(zone);
    expect([...new Set(questions)]).toEqual([zone]);
    const starts = buckets(usage).map(({ start }) => start);
    for (const start of starts) expect(start).toContain(offset);
    // Each row says the clock of the zone.
    const times = (await tableOf(counts(page))).map(({ Time }) => /(\d\d:\d\d) – /.exec(Time ?? "")?.[1]);
    expect(times).toEqual(starts.map((start) => start.slice(11, 16)));
    // Drawn anew, the axis says nothing else.
    await axisTimes(page);
    await page.setViewportSize({ width: 1200, height: 900 });
    let drawn: string[] = [];
    await expect
      .poll(async () => {
        drawn = await axisTimes(page);
        return drawn.length;
      })
      .toBeGreaterThan(1);
    const edges = [...starts, usage.to].map((time) => time.slice(11, 16));
    expect(drawn.filter((time) => !edges.includes(time))).toEqual([]);
    await expect(page.getByRole("button", { name: `Time zone: ${zone}` })).toBeVisible();
  });
}

test("days begin where the zone has them begin", async ({ signedIn: page, demo, tokens }) => {
  const totals: Record<string, (number | null)[]> = {};
  for (const zone of ["Europe/Berlin", "Asia/Kolkata"]) {
    await openUsage(page, { ...settledDays(), resolution: "1d", tz: zone });
    await openTable(page);
    const usage = await expectSameAsApi(page, demo, tokens.operator);
    totals[zone] = buckets(usage).flatMap(({ counts }) => counts);
  }
  expect(totals["Europe/Berlin"]).not.toEqual(totals["Asia/Kolkata"]);
});

test("a zone that is chosen on one view holds on the others, and after a reload", async ({
  signedIn: page,
}) => {
  await openUsage(page, {});
  await chooseZone(page, "Asia/Tokyo");
  const button = page.getByRole("button", { name: "Time zone: Asia/Tokyo" });
  await expect(button).toBeVisible();
  await page.getByRole("link", { name: "Billing" }).click();
  await expect(button).toBeVisible();
  await page.goto("/usage");
  await answered(page);
  await expect(button).toBeVisible();
  await expect(page.locator(".usage-total")).toContainText("Asia/Tokyo");
});

test("what is no zone is said to be none", async ({ signedIn: page }) => {
  await openUsage(page, {});
  await page.getByRole("button", { name: /^Time zone/ }).click();
  const dialog = page.getByRole("dialog", { name: "Time zone" });
  await dialog.getByLabel("Time zone").fill("Mars/Phobos");
  await dialog.getByRole("button", { name: "Use it" }).click();
  await expect(dialog).toContainText("is no time zone");
});

test("a customer sees its own zone where none was chosen, an operator that of the browser", async ({
  page,
  context,
  demo,
  tokens,
}) => {
  await signIn(context, demo, tokens.customer);
  await openUsage(page, {});
  await expect(page.locator(".usage-total")).toContainText("Europe/Berlin");
  await signIn(context, demo, tokens.operator);
  await openUsage(page, {});
  await expect(page.locator(".usage-total")).toContainText("Pacific/Honolulu");
  const usage = await answerTo(demo, tokens.operator, page);
  expect(usage.total).not.toBeNull();
});
