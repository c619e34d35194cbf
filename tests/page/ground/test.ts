/** The ground of every test: a demo for each worker, tokens, a browser that is signed in, and a guard. */
import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";
import { Demo, type Role, type Token } from "./demo";
import { Guard } from "./guard";

export interface Tokens {
  operator: Token;
  billing: Token;
  /** Of the customer acme, whose zone is Europe/Berlin. */
  customer: Token;
}

interface Each {
  /** Fails the test for what nobody would see: errors in the console, broken policies, dialogs, strange hosts. */
  guard: Guard;
  /** The page, signed in as an operator and not yet anywhere. */
  signedIn: Page;
}

interface Worker {
  demo: Demo;
  tokens: Tokens;
}

export const COOKIE = "flagmeter_session";

/** Where the binary is that is tested: `run` knows. */
function binary(): string {
  const binary = process.env.FLAGMETER_BIN;
  if (!binary) throw new Error("FLAGMETER_BIN names no binary: start the tests with tests/page/run");
  return binary;
}

export const test = base.extend<Each, Worker>({
  demo: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads from the pattern what a fixture needs
    async ({}, use) => {
      const demo = await Demo.start(binary());
      await use(demo);
      await demo.stop();
    },
    { scope: "worker", timeout: 600_000 },
  ],

  tokens: [
    async ({ demo }, use) => {
      await use({
        operator: await demo.token("operator"),
        billing: await demo.token("billing"),
        customer: await demo.token("customer", { customer: "acme" }),
      });
    },
    { scope: "worker", timeout: 300_000 },
  ],

  baseURL: async ({ demo }, use) => {
    await use(demo.url);
  },

  guard: [
    async ({ context, demo }, use, info) => {
      const guard = new Guard(demo.url);
      guard.watch(context);
      await use(guard);
      if (info.status !== info.expectedStatus) {
        const path = info.outputPath("demo.log");
        await demo.writeLog(path);
        await info.attach("demo.log", { path, contentType: "text/plain" });
        console.log(`the demo's last lines, all in ${path}:\n${demo.tail(15)}`);
      }
      expect(guard.seen, "what should not have happened while the test ran").toEqual([]);
    },
    { auto: true },
  ],

  signedIn: async ({ page, context, demo, tokens }, use) => {
    await signIn(context, demo, tokens.operator);
    await use(page);
  },
});

export type { Role };
export { expect };

/** Signs the browser in without its form. */
export async function signIn(context: BrowserContext, demo: Demo, token: Token): Promise<void> {
  const answer = await context.request.post(`${demo.url}/v1/session`, { data: { token: token.text } });
  expect(answer.status(), await answer.text()).toBe(204);
}
