import { defineConfig } from "@playwright/test";

/** What `run` found. */
const chromium = process.env.FLAGMETER_CHROMIUM;
if (!chromium) throw new Error("FLAGMETER_CHROMIUM names no Chromium: start the tests with tests/page/run");

export default defineConfig({
  projects: [
    { name: "page", testDir: "specs" },
    { name: "figures", testDir: "figures", timeout: 300_000 },
    { name: "screenshots", testDir: "screenshots", timeout: 300_000 },
  ],
  outputDir: "results",
  // Each worker has a demo of its own and a browser: two are what two cores bear.
  workers: 2,
  // A test that fails is looked at, not tried again.
  retries: 0,
  forbidOnly: true,
  reporter: [["list"]],
  timeout: 90_000,
  expect: { timeout: 15_000 },
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
    actionTimeout: 15_000,
    navigationTimeout: 30_000,
    screenshot: "only-on-failure",
  },
});
