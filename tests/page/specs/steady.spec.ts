/** Nothing moves under one's eyes: no layout shift while a view loads, nor while it goes on by itself. */
import type { Page } from "@playwright/test";
import { expect, test } from "../ground/test";
import { VIEWS } from "../ground/views";

const MOST = 0.02;

interface Shifts {
  sum: number;
  told: string[];
}

async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const shifts: Shifts = { sum: 0, told: [] };
    Object.assign(window, { shifts });
    type Shift = PerformanceEntry & {
      value: number;
      hadRecentInput: boolean;
      sources: { node: Node | null }[];
    };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as Shift[]) {
        if (entry.hadRecentInput) continue;
        shifts.sum += entry.value;
        const moved = entry.sources.map(({ node }) =>
          node instanceof Element ? `${node.tagName}.${node.className}` : "text",
        );
        shifts.told.push(
          `${entry.value.toFixed(4)} at ${Math.round(entry.startTime)} ms: ${moved.join(", ")}`,
        );
      }
    }).observe({ type: "layout-shift", buffered: true });
  });
}

/** Comes back after the frame that shows what is in the page now; only what was seen can shift. */
const painted = (page: Page): Promise<void> =>
  page.evaluate(
    () => new Promise<void>((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))),
  );

/** What has shifted up to now, what is in the page now painted. */
async function shifts(page: Page): Promise<Shifts> {
  await painted(page);
  return page.evaluate(() => (window as unknown as { shifts: Shifts }).shifts);
}

for (const view of VIEWS) {
  for (const width of [360, 1440]) {
    test(`${view.name} stands still at ${width} px`, async ({ signedIn: page }) => {
      await page.setViewportSize({ width, height: 900 });
      await watch(page);
      await page.goto(view.address);
      await view.drawn(page);
      const { sum, told } = await shifts(page);
      expect(sum, told.join("\n")).toBeLessThan(MOST);
    });
  }
}

test("a chart that goes on by itself stands still", async ({ signedIn: page }) => {
  await watch(page);
  await page.goto("/usage?from=-1h&resolution=1m&group_by=customer");
  const total = page.locator(".usage-total .number");
  await expect(total).not.toHaveText("–");
  for (let update = 0; update < 5; update += 1) {
    const before = await total.innerText();
    await expect(total).not.toHaveText(before);
  }
  const { sum, told } = await shifts(page);
  expect(sum, told.join("\n")).toBeLessThan(MOST);
});

for (const view of VIEWS) {
  for (const width of [360, 1440]) {
    test(`${view.name} stands still at ${width} px when it learns late who is signed in`, async ({
      signedIn: page,
    }) => {
      await page.setViewportSize({ width, height: 900 });
      await watch(page);
      let answer = (): void => {};
      const held = new Promise<void>((go) => {
        answer = go;
      });
      await page.route(/\/v1\/session/, async (route) => {
        await held;
        await route.continue();
      });
      await page.goto(view.address);
      // Whose bills there are only the session says: until then there is no bill.
      if (view.name === "billing") await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      else await view.drawn(page);
      await expect(page.getByRole("button", { name: "Sign out" })).toBeHidden();
      await painted(page);
      answer();
      await expect(page.getByRole("button", { name: "Sign out" })).toBeVisible();
      await view.drawn(page);
      const { sum, told } = await shifts(page);
      expect(sum, told.join("\n")).toBeLessThan(MOST);
    });
  }
}
