import { afterEach, describe, expect, it, vi } from "vitest";
import { type Problem, request } from "../src/api/client";

async function refused(headers: Record<string, string>): Promise<Problem> {
  vi.stubGlobal("fetch", async () => new Response("{}", { status: 503, headers }));
  return request("/v1/usage", {}).then(
    () => Promise.reject(new Error("it was not refused")),
    (error: Problem) => error,
  );
}

afterEach(() => vi.unstubAllGlobals());

describe("the pause that a server asks for", () => {
  it("is kept to, within bounds", async () => {
    const pauses = ["0", "7", "86400"].map(
      async (seconds) => (await refused({ "retry-after": seconds })).retryAfterMs,
    );
    expect(await Promise.all(pauses)).toEqual([1_000, 7_000, 60_000]);
  });

  it("is ours where it asks for none that we understand", async () => {
    expect((await refused({})).retryAfterMs).toBeNull();
    expect((await refused({ "retry-after": "Sat, 21 Nov 2026 07:28:00 GMT" })).retryAfterMs).toBeNull();
  });
});
