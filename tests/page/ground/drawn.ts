/** From what a real SDK counts to the open chart. */
import type { Page } from "@playwright/test";
import type { Demo } from "./demo";
import { evaluate } from "./sdk";

/** No promise of the product's: the end of the wait, on a machine however slow. */
const DRAWN_WITHIN_MS = 120_000;

/**
 * Has an SDK count a flag so many times, and gives the milliseconds from the moment at which it was told that its counts are
 * taken to the frame in which the legend of the open chart says them.
 */
export async function untilDrawn(
  page: Page,
  demo: Demo,
  key: string,
  flag: string,
  times: number,
): Promise<number> {
  // The page itself says when it shows them: looking again and again would take longer than it takes.
  const seen = page.evaluate(
    ([flag, times, within]) =>
      new Promise<number>((shown, failed) => {
        const late = setTimeout(() => {
          observer.disconnect();
          failed(new Error(`the chart does not show ${times} of ${flag} within ${within} ms`));
        }, within);
        const observer = new MutationObserver(() => {
          const rows = [...document.querySelectorAll(".legend tbody tr")].map((row) => row.textContent ?? "");
          if (!rows.some((text) => text.includes(flag) && text.includes(String(times)))) return;
          observer.disconnect();
          clearTimeout(late);
          requestAnimationFrame(() => shown(Date.now()));
        });
        observer.observe(document.body, { subtree: true, childList: true, characterData: true });
      }),
    [flag, times, DRAWN_WITHIN_MS] as const,
  );
  const [seenAt, acknowledgedAt] = await Promise.all([seen, evaluate(demo, key, flag, times)]);
  return seenAt - acknowledgedAt;
}
