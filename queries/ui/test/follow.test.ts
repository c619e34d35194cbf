import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { signedOut } from "../src/api/client";
import { follow, type Standing, usage } from "../src/api/follow";
import type { Usage } from "../src/api/types";

/** A request that was made, and the other end of its stream. */
interface Asked {
  address: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  answer(response: Response): void;
  fail(): void;
}

let asked: Asked[] = [];
let standings: Standing[] = [];
let totals: (number | null)[] = [];
let stop = (): void => {};
const page = Object.assign(new EventTarget(), { hidden: false });

function fetched(address: string, init: RequestInit): Promise<Response> {
  return new Promise((answer, fail) => {
    const signal = init.signal as AbortSignal;
    signal.addEventListener("abort", () => fail(new DOMException("aborted", "AbortError")));
    const headers = (init.headers ?? {}) as Record<string, string>;
    asked.push({ address, headers, signal, answer, fail: () => fail(new TypeError("network")) });
  });
}

function answerOf(total: number): Usage {
  const at = "2026-11-20T12:00:00Z";
  const row = { start: at, end: "2026-11-20T12:01:00Z", state: "open" as const, count: total };
  const rest = { resolution: "1m", tz: "UTC", complete_until: at, missing_nodes: [], group_by: [] };
  return { meter: "evaluations", from: at, to: row.end, ...rest, state: "open", total, rows: [row] };
}

/** The server's end of a stream. */
class Server {
  private out!: ReadableStreamDefaultController<Uint8Array>;
  readonly response = new Response(
    new ReadableStream<Uint8Array>({
      start: (out) => {
        this.out = out;
      },
    }),
  );
  say(text: string): void {
    this.out.enqueue(new TextEncoder().encode(text));
  }
  event(name: string, data: unknown, id = ""): void {
    this.say(`${id && `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }
  end(): void {
    this.out.close();
  }
}

/** Lets what was sent arrive: streams pass it on in turns of the event loop that no clock of ours moves. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((done) => setImmediate(done));
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

async function streaming(at = asked.length - 1): Promise<Server> {
  const server = new Server();
  asked[at]?.answer(server.response);
  await settle();
  return server;
}

const states = (): string[] => standings.map(({ state }) => state);
const last = (): Standing | undefined => standings.at(-1);

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    now: 1_000_000,
  });
  vi.spyOn(Math, "random").mockReturnValue(1);
  page.hidden = false;
  vi.stubGlobal("fetch", fetched);
  vi.stubGlobal("document", page);
  const around = new EventTarget();
  vi.stubGlobal("addEventListener", around.addEventListener.bind(around));
  vi.stubGlobal("removeEventListener", around.removeEventListener.bind(around));
  vi.stubGlobal("dispatchEvent", around.dispatchEvent.bind(around));
  asked = [];
  standings = [];
  totals = [];
  stop = follow(usage(new URLSearchParams("from=-1h")), {
    answer: ({ total }) => totals.push(total),
    standing: (standing) => standings.push(standing),
  });
});

afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("a question that is followed", () => {
  it("is answered by a snapshot and its deltas", async () => {
    const server = await streaming();
    expect(asked[0]?.address).toBe("/v1/live?from=-1h");
    server.say("retry: 3000\n\n");
    server.event("snapshot", answerOf(5), "a-1");
    server.event("delta", answerOf(7), "a-2");
    await settle();
    expect(totals).toEqual([5, 7]);
    expect(states()).toEqual(["asking", "live"]);
  });

  it("goes on with its last id, and says nothing of a break that is over at once", async () => {
    const first = await streaming();
    first.event("snapshot", answerOf(5), "a-1");
    await settle();
    first.end();
    await settle();
    await pass(1_000);
    expect(asked[1]?.headers["last-event-id"]).toBe("a-1");
    const second = await streaming();
    second.event("delta", answerOf(6), "a-2");
    await settle();
    expect(totals).toEqual([5, 6]);
    expect(states()).toEqual(["asking", "live"]);
  });

  it("says since when what is shown is old while the server is away, and ever more rarely asks again", async () => {
    const first = await streaming();
    first.event("snapshot", answerOf(5), "a-1");
    await settle();
    await pass(4_000);
    first.say(":\n\n");
    await settle();
    await pass(2_000);
    first.end();
    await settle();
    await pass(1_000);
    asked[1]?.fail();
    await settle();
    expect(last()).toMatchObject({ state: "away", since: 1_004_000 });
    await pass(1_999);
    expect(asked).toHaveLength(2);
    await pass(1);
    asked[2]?.fail();
    await settle();
    await pass(4_000);
    expect(asked).toHaveLength(4);
    expect(last()).toMatchObject({ state: "away", since: 1_004_000 });
  });

  it("is live again when a stream goes on, though nothing is new", async () => {
    const first = await streaming();
    first.event("snapshot", answerOf(5), "a-1");
    await settle();
    first.end();
    await settle();
    await pass(1_000);
    asked[1]?.fail();
    await settle();
    expect(last()?.state).toBe("away");
    await pass(2_000);
    const again = await streaming();
    again.say("retry: 3000\n\n");
    await settle();
    await pass(1_500);
    expect(last()?.state).toBe("live");
  });

  it("stays old after a problem until there is an answer, whatever the heartbeats say", async () => {
    const server = await streaming();
    server.event("snapshot", answerOf(5), "a-1");
    server.event("problem", { status: 503, detail: "The store does not answer." });
    await settle();
    expect(last()).toMatchObject({ state: "away", problem: { message: "The store does not answer." } });
    server.say(":\n\n");
    await settle();
    await pass(2_000);
    expect(last()?.state).toBe("away");
    server.event("delta", answerOf(6), "a-2");
    await settle();
    expect(last()?.state).toBe("live");
  });

  it("takes an answer that was never begun for dead", async () => {
    await pass(50_000);
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(asked).toHaveLength(2);
  });

  it("comes back at once when a laptop wakes whose timers stood still", async () => {
    const server = await streaming();
    server.event("snapshot", answerOf(5), "a-1");
    await settle();
    vi.setSystemTime(1_000_000 + 8 * 3_600_000);
    await pass(5_000);
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(asked[1]?.headers["last-event-id"]).toBe("a-1");
  });

  it("lets go while nobody looks, and comes back when somebody does", async () => {
    const server = await streaming();
    server.event("snapshot", answerOf(5), "a-1");
    await settle();
    page.hidden = true;
    page.dispatchEvent(new Event("visibilitychange"));
    await pass(60_000);
    const asks = asked.length;
    expect(asked.at(-1)?.signal.aborted).toBe(true);
    await pass(600_000);
    expect(asked).toHaveLength(asks);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    await settle();
    expect(asked).toHaveLength(asks + 1);
  });

  it("asks anew and again for what is too large for a stream", async () => {
    asked[0]?.answer(Response.json({ detail: "More than 10000 rows." }, { status: 422 }));
    await settle();
    expect(asked[1]?.address).toBe("/v1/usage?from=-1h");
    asked[1]?.answer(Response.json(answerOf(5)));
    await settle();
    await pass(10_000);
    asked[2]?.answer(Response.json(answerOf(6)));
    await settle();
    expect(totals).toEqual([5, 6]);
    await pass(10_000);
    asked[3]?.answer(Response.json({ detail: "Still more." }, { status: 422 }));
    await settle();
    expect(last()).toMatchObject({ state: "refused", problem: { message: "Still more." } });
    await pass(600_000);
    expect(asked).toHaveLength(4);
  });

  it("begins from nothing after an event that it cannot read", async () => {
    const server = await streaming();
    server.event("snapshot", answerOf(5), "a-1");
    server.say("id: a-2\nevent: delta\ndata: {\n\n");
    await settle();
    await pass(1_000);
    expect(asked[1]?.headers["last-event-id"]).toBeUndefined();
  });

  it("tells the page when the token is not in force any more", async () => {
    const told = vi.fn();
    signedOut.addEventListener("signed-out", told, { once: true });
    const server = await streaming();
    server.event("problem", { status: 401, detail: "The token is revoked." });
    await settle();
    expect(told).toHaveBeenCalledOnce();
    expect(last()?.state).toBe("refused");
  });

  it("is silent once it is closed", async () => {
    const server = await streaming();
    stop();
    server.event("snapshot", answerOf(5), "a-1");
    await pass(60_000);
    expect(totals).toEqual([]);
    expect(asked).toHaveLength(1);
  });
});
