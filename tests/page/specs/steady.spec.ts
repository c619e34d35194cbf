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

const shifts = (page: Page): Promise<Shifts> =>
  page.evaluate(() => (window as unknown as { shifts: Shifts }).shifts);

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
