import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { begin, taken } from "../src/api/early";

let signals: AbortSignal[] = [];
let status = 200;

beforeEach(() => {
  signals = [];
  status = 200;
  vi.useFakeTimers();
  vi.stubGlobal("fetch", async (_: string, init: { signal: AbortSignal }) => {
    signals.push(init.signal);
    return new Response("here", { status });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("is taken once, by who asks the same, and ends with who took it", async () => {
  begin("/v1/live?from=-1h");
  const stop = new AbortController();
  expect(await (await taken("/v1/live?from=-1h", stop.signal))?.text()).toBe("here");
  expect(taken("/v1/live?from=-1h", stop.signal)).toBeNull();
  vi.advanceTimersByTime(60_000);
  expect(signals[0]?.aborted).toBe(false);
  stop.abort();
  expect(signals[0]?.aborted).toBe(true);
});

it("is let go of where something else is asked, or nothing", () => {
  begin("/v1/live?from=-1h");
  expect(taken("/v1/live?from=-2h", new AbortController().signal)).toBeNull();
  expect(signals[0]?.aborted).toBe(true);
  begin("/v1/live?from=-1h");
  vi.advanceTimersByTime(10_000);
  expect(signals[1]?.aborted).toBe(true);
});

it("is asked anew where it was refused: somebody may have signed in since", async () => {
  status = 401;
  begin("/v1/live?from=-1h");
  await vi.advanceTimersByTimeAsync(1);
  expect(taken("/v1/live?from=-1h", new AbortController().signal)).toBeNull();
});
