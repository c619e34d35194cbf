/** All of it by keyboard alone: reached, seen where one is, and no way that leads in and not out. */
import type { APIResponse, Page } from "@playwright/test";
import { expect, test } from "../ground/test";
import { query, settled } from "../ground/time";
import { answered, chart, openUsage } from "../ground/usage";
import { DIALOGS, VIEWS } from "../ground/views";

interface Stop {
  /** Which element it is, by its place in the document. */
  at: number;
  what: string;
  isSeen: boolean;
}

/** Everything that takes part by keyboard; of radio buttons one, the chosen one or the first. */
async function controls(page: Page): Promise<{ at: number; what: string }[]> {
  return page.evaluate(() => {
    const all = [...document.querySelectorAll<HTMLElement>("*")];
    const found = all.filter(
      (node) =>
        node.matches("a[href], button, input, select, textarea, summary, [tabindex]") &&
        node.tabIndex >= 0 &&
        !node.matches(":disabled") &&
        node.checkVisibility({ checkVisibilityCSS: true }) &&
        node.closest("[inert]") === null,
    );
    const groups = new Set<string>();
    const isChecked = (name: string): boolean =>
      document.querySelector(`input[type=radio][name="${name}"]:checked`) !== null;
    return found
      .filter((node) => {
        if (!(node instanceof HTMLInputElement) || node.type !== "radio") return true;
        if (isChecked(node.name) ? !node.checked : groups.has(node.name)) return false;
        groups.add(node.name);
        return true;
      })
      .map((node) => ({
        at: all.indexOf(node),
        what: `${node.tagName} ${(node.ariaLabel ?? node.textContent ?? "").trim().slice(0, 40)} ${node.id}`,
      }));
  });
}

/** Where the focus is, and whether one sees that. */
async function stop(page: Page): Promise<Stop> {
  return page.evaluate(() => {
    const node = document.activeElement as HTMLElement;
    const isOutlined = (one: Element | null): boolean => {
      if (!one) return false;
      const style = getComputedStyle(one);
      return (
        (style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 1) ||
        style.boxShadow !== "none"
      );
    };
    return {
      at: [...document.querySelectorAll("*")].indexOf(node),
      what: `${node.tagName} ${(node.ariaLabel ?? node.textContent ?? "").trim().slice(0, 40)} ${node.id}`,
      isSeen: node.matches(":focus-visible") && (isOutlined(node) || isOutlined(node.nextElementSibling)),
    };
  });
}

/**
 * Has each address of these views answer this page the same for ever: they go on by themselves, and names that hold counts
 * would not be the same at the second look. Charts are asked of hours that are over instead.
 */
async function freeze(page: Page): Promise<void> {
  const answers = new Map<string, Promise<APIResponse>>();
  await page.route(/\/v1\/(billing|operator|reconcile)/, async (route) => {
    const url = route.request().url();
    const answer = answers.get(url) ?? route.fetch({ timeout: 0 });
    answers.set(url, answer);
    await route.fulfill({ response: await answer });
  });
}

for (const view of VIEWS) {
  test(`every control of ${view.name} is reached with Tab, seen there, and left again`, async ({
    signedIn: page,
  }) => {
    // What stands still: where rows come and go, places in the document do.
    const still = view.address.replace("from=-24h", query(settled()));
    await freeze(page);
    await page.goto(view.name === "flags" ? `${still}?q=tps` : still);
    await (view.name === "flags" ? expect(page.getByRole("rowheader")).toHaveCount(1) : view.drawn(page));
    const wanted = await controls(page);
    expect(wanted.length).toBeGreaterThan(8);
    const reached = new Set<string>();
    const unseen = new Set<string>();
    for (let step = 0; step < wanted.length + 30; step += 1) {
      await page.keyboard.press("Tab");
      const at = await stop(page);
      if (at.what.startsWith("BODY")) continue;
      reached.add(at.what);
      if (!at.isSeen) unseen.add(at.what);
    }
    expect(
      wanted.map(({ what }) => what).filter((what) => !reached.has(what)),
      "never reached",
    ).toEqual([]);
    expect([...unseen], "the focus is not seen on these").toEqual([]);
    // And back again.
    const last = await stop(page);
    await page.keyboard.press("Shift+Tab");
    expect((await stop(page)).at).not.toBe(last.at);
    await page.unrouteAll({ behavior: "ignoreErrors" });
  });
}

test("keys lead to each view, and to what the help tells", async ({ signedIn: page }) => {
  await openUsage(page, {});
  // There is a way to it as soon as the page knows whose it is.
  await expect(page.getByRole("link", { name: "Operators" })).toBeVisible();
  for (const [key, path] of [
    ["f", "/flags"],
    ["b", "/billing"],
    ["o", "/operators"],
    ["u", "/usage"],
  ] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page).toHaveURL(new RegExp(`${path}(\\?|$)`));
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  }
  await answered(page);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keys and words" });
  await expect(help).toContainText("Go to Billing");
  await expect(help).toContainText("Compare with the previous period");
  await expect(help).toContainText("Nothing is known of that time");
  await page.keyboard.press("Escape");
  await expect(help).toHaveCount(0);
  await page.keyboard.press("c");
  await expect(page).toHaveURL(/compare=previous/);
  await page.keyboard.press("t");
  await expect(page).toHaveURL(/view=table/);
  await page.keyboard.press("s");
  await expect(page).toHaveURL(/style=stacked/);
});

test("letters that are typed into a field are no keys", async ({ signedIn: page }) => {
  await page.goto("/flags");
  await expect(page.getByRole("searchbox")).toBeVisible();
  await page.keyboard.press("/");
  await expect(page.getByRole("searchbox")).toBeFocused();
  await page.keyboard.type("gudz?");
  await expect(page.getByRole("searchbox")).toHaveValue("gudz?");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(page).toHaveURL(/\/flags/);
});

test("the chart is read with arrows, bucket by bucket, and zoomed", async ({ signedIn: page }) => {
  const range = settled();
  const clock = (hours: number): string =>
    new Date(Date.parse(range.from) + hours * 3_600_000).toISOString().slice(11, 16);
  await openUsage(page, { ...range, resolution: "1h" });
  await page.keyboard.press("v");
  const slider = chart(page);
  await expect(slider).toBeFocused();
  await page.keyboard.press("Home");
  await expect(slider).toHaveAttribute("aria-valuenow", "0");
  await expect(slider).toHaveAttribute("aria-valuetext", new RegExp(`${clock(0)}.*${clock(1)}`));
  await page.keyboard.press("ArrowRight");
  await expect(slider).toHaveAttribute("aria-valuenow", "1");
  await expect(slider).toHaveAttribute("aria-valuetext", new RegExp(`${clock(1)}.*${clock(2)}`));
  await page.keyboard.press("End");
  await expect(slider).toHaveAttribute("aria-valuenow", "23");
  const before = page.url();
  await page.keyboard.press("+");
  await expect(page).not.toHaveURL(before);
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(before);
  await expect(slider).toBeFocused();
});

for (const { name, address, open } of DIALOGS) {
  test(`the dialog "${name}" keeps the focus while it is open, and gives it back`, async ({
    signedIn: page,
  }) => {
    await page.goto(address);
    await answered(page);
    const opener = page.getByRole("button", { name: "Embed…" });
    await opener.focus();
    await open(page);
    const dialog = page.getByRole("dialog", { name });
    await expect(dialog).toBeVisible();
    for (let step = 0; step < 12; step += 1) {
      await page.keyboard.press("Tab");
      const isOutside = await page.evaluate(() => {
        const node = document.activeElement;
        return node !== null && node !== document.body && node.closest("dialog") === null;
      });
      expect(isOutside, "the focus left the dialog").toBe(false);
    }
    await page.keyboard.press("Escape");
    await expect(dialog).toHaveCount(0);
    await expect(opener).toBeFocused();
  });
}

test("the first stop leads past the navigation to the content", async ({ signedIn: page }) => {
  await openUsage(page, {});
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "To the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
});
