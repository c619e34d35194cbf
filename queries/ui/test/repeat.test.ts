import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Problem } from "../src/api/client";
import type { Standing } from "../src/api/follow";
import { repeat } from "../src/api/repeat";

const EVERY = 10_000;
const page = Object.assign(new EventTarget(), { hidden: false });

let asked = 0;
let answers: number[] = [];
let standings: Standing[] = [];
let fails: Problem | null = null;
/** What answers wait for. */
let gate = Promise.resolve();
let stop = (): void => {};

/** Lets what was answered arrive. */
async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0);
}

function look(hidden: boolean): void {
  page.hidden = hidden;
  page.dispatchEvent(new Event("visibilitychange"));
}

function states(): string[] {
  return standings.map(({ state }) => state);
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", page);
  vi.stubGlobal("window", globalThis);
  const wide = new EventTarget();
  vi.stubGlobal("addEventListener", wide.addEventListener.bind(wide));
  vi.stubGlobal("removeEventListener", wide.removeEventListener.bind(wide));
  [asked, answers, standings, fails] = [0, [], [], null];
  gate = Promise.resolve();
  page.hidden = false;
  const question = async (): Promise<number> => {
    asked += 1;
    const number = asked;
    await gate;
    if (fails) throw fails;
    return number;
  };
  stop = repeat(question, EVERY, {
    answer: (answer) => answers.push(answer),
    standing: (standing) => standings.push(standing),
  });
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("asking again and again", () => {
  it("asks at once, and then each time after a while", async () => {
    await settle();
    expect([answers, states()]).toEqual([[1], ["asking", "live"]]);
    await vi.advanceTimersByTimeAsync(EVERY - 1);
    expect(asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(answers).toEqual([1, 2]);
  });

  it("asks soon again after what fails in passing, says since when, and is live again", async () => {
    await settle();
    fails = new Problem(503, "Not now.");
    await vi.advanceTimersByTimeAsync(EVERY);
    const away = standings.at(-1);
    expect(away?.state).toBe("away");
    fails = null;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(states().at(-1)).toBe("live");
    expect(answers).toEqual([1, 3]);
  });

  it("waits longer each time, and says all the while since when it is away", async () => {
    await settle();
    fails = new Problem(0, "Nobody is there.");
    await vi.advanceTimersByTimeAsync(EVERY);
    const [first] = standings.filter((standing) => standing.state === "away");
    await vi.advanceTimersByTimeAsync(60_000);
    // Pauses of 1, 2, 4, 8 and then 16 seconds, or a part of each.
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(16);
    const since = standings.flatMap((standing) => (standing.state === "away" ? [standing.since] : []));
    expect(new Set(since)).toEqual(new Set([first?.state === "away" ? first.since : null]));
  });

  it("keeps to what the server says of when to come back", async () => {
    await settle();
    fails = new Problem(429, "Slower.", null, 30_000);
    await vi.advanceTimersByTimeAsync(EVERY);
    fails = null;
    await vi.advanceTimersByTimeAsync(29_999);
    expect(asked).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toBe(3);
  });

  it("does not ask again what is refused", async () => {
    await settle();
    fails = new Problem(403, "Not yours.");
    await vi.advanceTimersByTimeAsync(EVERY);
    expect(states().at(-1)).toBe("refused");
    await vi.advanceTimersByTimeAsync(100 * EVERY);
    expect(asked).toBe(2);
  });

  it("asks nothing while nobody looks, and at once when somebody does", async () => {
    await settle();
    look(true);
    await vi.advanceTimersByTimeAsync(5 * EVERY);
    expect(asked).toBe(1);
    look(false);
    await settle();
    expect(asked).toBe(2);
  });

  it("asks nothing after an answer that came while nobody looked", async () => {
    await settle();
    let open = (): void => {};
    gate = new Promise((done) => {
      open = done;
    });
    await vi.advanceTimersByTimeAsync(EVERY);
    look(true);
    open();
    await settle();
    expect(answers).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(5 * EVERY);
    expect(asked).toBe(2);
  });

  it("does not ask sooner because somebody looks away for a moment", async () => {
    await settle();
    look(true);
    look(false);
    await settle();
    expect(asked).toBe(1);
    await vi.advanceTimersByTimeAsync(EVERY);
    expect(asked).toBe(2);
  });

  it("ends", async () => {
    await settle();
    stop();
    await vi.advanceTimersByTimeAsync(5 * EVERY);
    look(true);
    look(false);
    await settle();
    expect(asked).toBe(1);
  });

  describe("where it asks seldom", () => {
    const SELDOM = 60_000;
    let sessions = 0;
    let session: () => Response = () => new Response("{}");

    beforeEach(async () => {
      stop();
      sessions = 0;
      session = () => new Response("{}");
      vi.stubGlobal("fetch", async (address: string) => {
        expect(address).toMatch(/^\/v1\/session/);
        sessions += 1;
        return session();
      });
      [asked, answers, standings] = [0, [], []];
      stop = repeat(
        async () => {
          asked += 1;
          return asked;
        },
        SELDOM,
        {
          answer: (answer) => answers.push(answer),
          standing: (standing) => standings.push(standing),
        },
      );
      await settle();
    });

    it("asks who is signed in between two questions, and asks no sooner for that", async () => {
      await vi.advanceTimersByTimeAsync(SELDOM - 1);
      expect([asked, sessions]).toEqual([1, 5]);
      await vi.advanceTimersByTimeAsync(1);
      expect(answers).toEqual([1, 2]);
      expect(states()).toEqual(["asking", "live", "live"]);
    });

    it("notices within seconds that a token is no longer good", async () => {
      session = () => new Response("{}", { status: 401 });
      await vi.advanceTimersByTimeAsync(10_000);
      expect(states().at(-1)).toBe("refused");
      await vi.advanceTimersByTimeAsync(SELDOM);
      expect([asked, sessions]).toEqual([1, 1]);
    });

    it("notices within seconds that the server is away, and asks its own question when it is back", async () => {
      session = () => new Response("{}", { status: 503 });
      await vi.advanceTimersByTimeAsync(10_000);
      expect(states().at(-1)).toBe("away");
      await vi.advanceTimersByTimeAsync(1_000);
      expect(states().at(-1)).toBe("live");
      expect([answers, sessions]).toEqual([[1, 2], 1]);
    });
  });
});
