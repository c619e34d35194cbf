import { defineConfig } from "@playwright/test";

/** What `run` found. */
const chromium = process.env.FLAGMETER_CHROMIUM;
if (!chromium) throw new Error("FLAGMETER_CHROMIUM names no Chromium: start the tests with tests/page/run");

export default defineConfig({
  projects: [
    { name: "page", testDir: "specs" },
    { name: "figures", testDir: "figures" },
    { name: "screenshots", testDir: "screenshots" },
  ],
  outputDir: "results",
  // Each worker has a demo of its own and a browser: two are what two cores bear.
  workers: 2,
  // A test that fails is looked at, not tried again.
  retries: 0,
  forbidOnly: true,
  reporter: [["list"]],
  // Nothing takes so long on a machine of one's own. CI's may be ten times slower, and no test is about that.
  timeout: 400_000,
  expect: { timeout: 60_000 },
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: chromium,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
      ],
    },
    viewport: { width: 1440, height: 900 },
    locale: "en-GB",
    // Where nothing else is said; tests of zones take others.
    timezoneId: "UTC",
    actionTimeout: 60_000,
    navigationTimeout: 90_000,
    screenshot: "only-on-failure",
  },
});
