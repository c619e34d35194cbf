/** Every view at three widths, in light and dark: for the eyes of whoever changed something. */
import { expect, test } from "../ground/test";
import { answered } from "../ground/usage";
import { DIALOGS, SCHEMES, VIEWS, WIDTHS } from "../ground/views";

const folder = process.env.FLAGMETER_SCREENSHOTS ?? "results/screenshots";

for (const view of VIEWS) {
  test(view.name, async ({ signedIn: page }) => {
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await page.goto(view.address);
        await view.drawn(page);
        await page.screenshot({ path: `${folder}/${view.name}-${width}-${colorScheme}.png`, fullPage: true });
      }
    }
  });
}

for (const { name, address, open } of DIALOGS) {
  test(name, async ({ signedIn: page }) => {
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await page.goto(address);
      await answered(page);
      await open(page);
      await expect(page.getByRole("dialog", { name })).toBeVisible();
      const file = name.toLowerCase().replaceAll(" ", "-");
      await page.screenshot({ path: `${folder}/dialog-${file}-${colorScheme}.png` });
      await page.keyboard.press("Escape");
    }
  });
}

test("signing in", async ({ page, guard }) => {
  guard.allow(/status of 401/);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 700 });
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await page.goto("/usage");
      await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
      await page.screenshot({ path: `${folder}/sign-in-${width}-${colorScheme}.png` });
    }
  }
});
