/**
 * Asking again and again what has no stream: at once, then each time after a while, for as long as somebody looks.
 *
 * What fails in passing is asked again soon, with pauses that grow; a question that is refused is not asked again.
 * Between two questions far apart it asks who is signed in, which costs next to nothing: a server that is away, and a
 * token that is no longer good, are noticed as soon as where there is a stream.
 */
import { ask, Problem } from "./client";
import type { Standing } from "./follow";

export interface Asked<T> {
  answer(answer: T): void;
  standing(standing: Standing): void;
}

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 16_000;
const SIGNED_IN_MS = 10_000;

/** Asks until the function that comes back is called. */
export function repeat<T>(
  question: (signal: AbortSignal) => Promise<T>,
  everyMs: number,
  asked: Asked<T>,
  beside: "alone" | "beside a stream" = "alone",
): () => void {
  const repeating = new Repeating(question, everyMs, asked, beside === "alone");
  repeating.begin();
  return () => repeating.close();
}

class Repeating<T> {
  private stop = new AbortController();
  private timer = 0;
  private failures = 0;
  private dueAt = 0;
  private awaySince: number | null = null;
  private isAsking = false;
  private isOver = false;

  constructor(
    private readonly question: (signal: AbortSignal) => Promise<T>,
    private readonly everyMs: number,
    private readonly asked: Asked<T>,
    /** Beside a stream it need not notice who is signed in: the stream does. */
    private readonly asksWho: boolean,
  ) {}

  begin(): void {
    document.addEventListener("visibilitychange", this.seen);
    addEventListener("online", this.again);
    this.asked.standing({ state: "asking" });
    void this.run();
  }

  close(): void {
    this.isOver = true;
    clearTimeout(this.timer);
    this.stop.abort();
    document.removeEventListener("visibilitychange", this.seen);
    removeEventListener("online", this.again);
  }

  private readonly again = (): void => {
    if (this.isOver || this.isAsking) return;
    this.failures = 0;
    this.dueAt = 0;
    void this.run();
  };

  /** A page that nobody looks at asks nothing; one that is looked at again, at once what is due. */
  private readonly seen = (): void => {
    clearTimeout(this.timer);
    if (document.hidden || this.isOver || this.isAsking) return;
    if (Date.now() >= this.dueAt) this.again();
    else this.wait();
  };

  private wait(): void {
    clearTimeout(this.timer);
    if (document.hidden || this.isOver) return;
    const due = this.dueAt - Date.now();
    // A server that does not answer is left alone until it is asked again.
    const pause = this.awaySince === null && this.asksWho ? Math.min(due, SIGNED_IN_MS) : due;
    this.timer = window.setTimeout(() => void this.run(), Math.max(0, pause));
  }

  private async run(): Promise<void> {
    clearTimeout(this.timer);
    this.isAsking = true;
    const stop = new AbortController();
    this.stop = stop;
    try {
      if (Date.now() >= this.dueAt) await this.askNow(stop.signal);
      else await ask("/v1/session", new URLSearchParams(), stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      this.failed(error);
    } finally {
      this.isAsking = false;
    }
    this.wait();
  }

  private async askNow(signal: AbortSignal): Promise<void> {
    const answer = await this.question(signal);
    if (signal.aborted) return;
    this.asked.answer(answer);
    this.failures = 0;
    this.awaySince = null;
    this.asked.standing({ state: "live" });
    this.dueAt = Date.now() + this.everyMs;
  }

  /** When to ask again; never where that would be of no use. */
  private failed(error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    if (!error.isPassing) {
      this.asked.standing({ state: "refused", problem: error });
      this.close();
      return;
    }
    this.awaySince ??= Date.now();
    this.asked.standing({ state: "away", since: this.awaySince, problem: error });
    const backoff = Math.min(RETRY_MS * 2 ** this.failures, RETRY_MAX_MS);
    this.failures += 1;
    // Not all who lost it come back in the same moment. Timers know whole milliseconds alone.
    this.dueAt = Date.now() + Math.round(error.retryAfterMs ?? backoff * (0.5 + Math.random() / 2));
  }
}
