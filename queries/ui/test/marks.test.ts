import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { followMarks, type Mark, type Marks, marksOf } from "../src/api/marks";
import { during, howMuch, placed, tops, whose, words } from "../src/charts/marks";
import { at, NOON } from "./answers";

const burst: Mark = {
  kind: "burst",
  since: at(10),
  until: at(25),
  ratio: 5,
  customer: "acme",
  project: "web",
  environment: "production",
  flag: null,
};
const minute = (minute: number): number => NOON + minute * 60_000;
const HOUR = [minute(0), minute(60)] as const;

describe("what is asked for a chart", () => {
  it("is the question's filters and the range that is seen", () => {
    const question = new URLSearchParams(
      "from=-24h&resolution=1h&tz=Europe/Berlin&meter=requests&customer=acme&flag=a&flag=b&group_by=flag&limit=8",
    );
    expect(marksOf(question, minute(0), minute(60))?.toString()).toBe(
      "from=2026-11-20T12%3A00%3A00Z&to=2026-11-20T13%3A00%3A00Z&limit=50&meter=requests&tz=Europe%2FBerlin" +
        "&customer=acme&flag=a&flag=b",
    );
    expect(marksOf(new URLSearchParams(), 0, 1)?.get("meter")).toBe("evaluations");
  });

  it("is nothing where nothing is alerted", () => {
    expect(marksOf(new URLSearchParams("variant=on"), 0, 1)).toBeNull();
    expect(marksOf(new URLSearchParams("sdk="), 0, 1)).toBeNull();
  });
});

describe("where marks lie", () => {
  it("is cut to what is seen, and what goes on ends now", () => {
    const lie = (mark: Mark, now = minute(60)): number[][] =>
      placed([mark], HOUR, now).map(({ from, to }) => [(from - NOON) / 60_000, (to - NOON) / 60_000]);
    expect(lie(burst)).toEqual([[10, 25]]);
    expect(lie({ ...burst, since: at(-10), until: at(90) })).toEqual([[0, 60]]);
    expect(lie({ ...burst, until: null }, minute(40))).toEqual([[10, 40]]);
    expect(lie({ ...burst, since: at(60), until: at(70) })).toEqual([]);
    expect(lie({ ...burst, since: at(-20), until: at(-1) })).toEqual([]);
  });

  it("is under one triangle where they are near to each other, and of one kind", () => {
    const marks = [burst, { ...burst, since: at(11) }, { ...burst, kind: "drop" as const }];
    const far = { ...burst, since: at(50), until: at(52) };
    const places = placed([...marks, far], HOUR, minute(60));
    const x = (time: number): number => (time - NOON) / 60_000;
    expect(tops(places, x, 5)).toEqual([
      { kind: "burst", x: 17.5 },
      { kind: "drop", x: 17.5 },
      { kind: "burst", x: 51 },
    ]);
  });
});

describe("what marks say", () => {
  it("is how much, as exactly as it means something", () => {
    expect(howMuch(burst)).toBe("up to 5.0 times what is expected");
    expect(howMuch({ ...burst, ratio: 9.949 })).toBe("up to 9.9 times what is expected");
    expect(howMuch({ ...burst, ratio: 9.95 })).toBe("up to 10 times what is expected");
    expect(howMuch({ ...burst, ratio: 1234.5 })).toBe("up to 1,235 times what is expected");
    expect(howMuch({ ...burst, kind: "drop", ratio: 0.034 })).toBe("down to 3 % of what is expected");
  });

  it("is when, and that it goes on", () => {
    expect(during(burst)).toMatch(/12:10 – 12:25$/);
    expect(during({ ...burst, until: null })).toMatch(/^since .*12:10$/);
  });

  it("is whose, but for one's own name, and nothing through a link", () => {
    expect(whose(burst, false)).toEqual(["acme", "web", "production"]);
    expect(whose(burst, true)).toEqual(["web", "production"]);
    const linked: Mark = { kind: "drop", since: at(0), until: null, ratio: 0 };
    expect(words(linked, true)).toMatch(/^Drop: down to 0 % of what is expected, since /);
    // A name turns no text around it.
    expect(words({ ...burst, learning: true, muted: true }, true)).toMatch(/, still learning, muted$/);
    expect(words(burst, true)).not.toMatch(/learning|muted/);
    expect(words(burst, true)).toContain("Burst of \u2068web\u2069 › \u2068production\u2069: up to");
  });
});

describe("asking for marks", () => {
  const page = Object.assign(new EventTarget(), { hidden: false });
  let told: Marks[] = [];
  let asked: string[] = [];
  let answer: () => Response = () => Response.json({});
  let stop = (): void => {};
  const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
  const problem = (status: number): Response =>
    Response.json({ detail: "no" }, { status, headers: { "retry-after": "5" } });

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("document", page);
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("addEventListener", () => {});
    vi.stubGlobal("removeEventListener", () => {});
    [told, asked] = [[], []];
    vi.stubGlobal("fetch", async (address: string) => {
      asked.push(address);
      return answer();
    });
    answer = () => Response.json({ bursts: [burst], more: false });
  });
  afterEach(() => {
    stop();
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  const begin = (params: () => URLSearchParams | null = () => new URLSearchParams("to=now")): void => {
    stop = followMarks("/v1/bursts", params, (marks) => told.push(marks));
  };

  it("tells a new one within seconds, and asks nobody who is signed in", async () => {
    begin();
    await settle();
    expect(told.at(-1)).toEqual({ bursts: [burst], more: false, areUnknown: false });
    answer = () => Response.json({ bursts: [burst, burst], more: true });
    await vi.advanceTimersByTimeAsync(18_000);
    expect(told.at(-1)?.bursts).toHaveLength(2);
    expect(asked).toEqual(["/v1/bursts?to=now", "/v1/bursts?to=now"]);
  });

  it("asks after a while of its own, so that not all who came in one moment ask in one moment for ever", async () => {
    for (const [random, everyMs] of [
      [0, 12_000],
      [0.5, 15_000],
      [1, 18_000],
    ] as const) {
      vi.spyOn(Math, "random").mockReturnValue(random);
      asked = [];
      begin();
      await settle();
      await vi.advanceTimersByTimeAsync(everyMs - 1);
      expect(asked).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(1);
      expect(asked).toHaveLength(2);
      stop();
    }
  });

  it("keeps what it has while the server is away, and says that there may be others", async () => {
    begin();
    await settle();
    answer = () => problem(503);
    await vi.advanceTimersByTimeAsync(18_000);
    expect(told.at(-1)).toEqual({ bursts: [burst], more: false, areUnknown: true });
    answer = () => Response.json({ bursts: [], more: false });
    await vi.advanceTimersByTimeAsync(5_000);
    expect(told.at(-1)).toEqual({ bursts: [], more: false, areUnknown: false });
  });

  it("says nothing where no ledger is kept, and that nothing is known where it may not ask", async () => {
    answer = () => problem(404);
    begin();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([told, asked.length]).toEqual([[], 1]);
    stop();
    answer = () => problem(403);
    begin();
    await settle();
    expect(told.at(-1)?.areUnknown).toBe(true);
  });

  it("asks nothing for what nothing is alerted of", async () => {
    begin(() => null);
    await settle();
    expect([asked, told.at(-1)?.bursts]).toEqual([[], []]);
  });
});
