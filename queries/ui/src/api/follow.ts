/**
 * Following a question: its answer now, and again whenever it is different, until it is closed.
 *
 * A stream where there can be one; where the question is too large for that, its whole answer again and again. What
 * says nothing for 45 seconds is taken for dead, a stream that broke is begun again with its last id, and a page
 * that nobody looks at lets go of its stream.
 */
import { ask, Problem, request, signedOut } from "./client";
import { applied } from "./delta";
import { taken } from "./early";
import { EventReader, type ServerEvent } from "./events";
import type { Delta, Usage } from "./types";

/** How things stand between us and the server. */
export type Standing =
  | { state: "asking" }
  /** What is shown is what the server knows. */
  | { state: "live" }
  /** What is shown is as old as `since`, and we try again. */
  | { state: "away"; since: number; problem: Problem }
  /** The question has no answer, and asking again would not give one. */
  | { state: "refused"; problem: Problem };

/** What is followed, and where. */
export interface Question {
  params: URLSearchParams;
  /** Where it is answered as a stream. */
  live: string;
  /** Where it is answered once; null where there is nothing but the stream. */
  once: string | null;
}

export interface Follower {
  answer(usage: Usage): void;
  standing(standing: Standing): void;
}

/** After so many milliseconds without a byte it is dead: the server says something every 15 seconds. */
const SILENCE_MS = 45_000;
/** How often we look whether it is, by the clock on the wall: timers stand still while a laptop sleeps. */
const WATCH_MS = 5_000;
/** A page that is hidden for so long lets go of its stream. */
const HIDDEN_MS = 60_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 16_000;
/** A stream that goes on says what is wrong within this time, if anything is. */
const RESUMED_MS = 1_500;
/** Between two answers where there can be no stream. */
const POLL_MS = 10_000;

/** A question to the API itself. */
export function usage(params: URLSearchParams): Question {
  return { params, live: "/v1/live", once: "/v1/usage" };
}

/** Where its stream is. */
export function addressOf({ live, params }: Question): string {
  return `${live}?${params}`;
}

/** Follows a question; the function that comes back ends it. */
export function follow(question: Question, follower: Follower): () => void {
  const following = new Following(question, follower);
  following.begin();
  return () => following.close();
}

class Following {
  private stop = new AbortController();
  private closed = false;
  private lastId: string | null = null;
  private have: Usage | null = null;
  private failures = 0;
  /** When the server was last heard. */
  private heardAt = Date.now();
  /** When what we have was last known to be what the server knows. */
  private wellAt = Date.now();
  private isWell = false;
  /** Whether a request is under way: only then is silence a sign. */
  private isListening = false;
  private isPolling = false;
  /** Whether the stream told of a problem, and of no answer since. */
  private isTold = false;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly question: Question,
    private readonly follower: Follower,
  ) {}

  begin(): void {
    document.addEventListener("visibilitychange", this.seen);
    addEventListener("online", this.again);
    this.watch = setInterval(() => this.look(), WATCH_MS);
    this.follower.standing({ state: "asking" });
    void this.run();
  }

  close(): void {
    this.closed = true;
    this.letGo();
    clearTimeout(this.hidden);
    clearInterval(this.watch);
    document.removeEventListener("visibilitychange", this.seen);
    removeEventListener("online", this.again);
  }

  private letGo(): void {
    clearTimeout(this.retry);
    this.isListening = false;
    this.stop.abort();
  }

  /** Begins anew at once: the network is back, or somebody looks at the page again. */
  private readonly again = (): void => {
    if (this.closed || document.hidden) return;
    this.letGo();
    this.failures = 0;
    void this.run();
  };

  private readonly seen = (): void => {
    clearTimeout(this.hidden);
    if (document.hidden) this.hidden = setTimeout(() => this.letGo(), HIDDEN_MS);
    else if (this.stop.signal.aborted) this.again();
    else this.look();
  };

  /** A laptop that slept has streams that only look alive, and so has one whose network went. */
  private look(): void {
    if (!this.isListening || Date.now() - this.heardAt <= SILENCE_MS) return;
    this.letGo();
    void this.run();
  }

  private async run(): Promise<void> {
    const stop = new AbortController();
    this.stop = stop;
    this.heardAt = Date.now();
    this.isListening = true;
    try {
      if (this.isPolling) await this.poll(stop.signal);
      else await this.stream(stop.signal);
      // The server ended it in order: another one answers, or this one again.
      if (!stop.signal.aborted) this.later(new Problem(0, "The server ended the stream."));
    } catch (error) {
      if (!stop.signal.aborted) this.failed(error);
    }
  }

  private failed(error: unknown): void {
    this.isListening = false;
    // What could not be read is not to be gone on from.
    if (!(error instanceof Problem) && !(error instanceof TypeError)) this.lastId = null;
    const problem = error instanceof Problem ? error : new Problem(0, "The server does not answer.");
    if (problem.isPassing) {
      this.later(problem);
    } else if (problem.status === 422 && !this.isPolling && this.question.once !== null) {
      // More rows than a stream carries: the answer alone may still be had.
      this.isPolling = true;
      this.stop.abort();
      void this.run();
    } else {
      this.stop.abort();
      this.follower.standing({ state: "refused", problem });
    }
  }

  private later(problem: Problem): void {
    this.isListening = false;
    // The end of a stream alone is no news: only when the next does not begin is the server away.
    if (this.failures > 0 || problem.status !== 0 || !this.have) this.away(problem);
    const backoff = Math.min(RETRY_MS * 2 ** this.failures, RETRY_MAX_MS);
    this.failures += 1;
    // Not all who lost it come back in the same moment.
    const wait = problem.retryAfterMs ?? backoff * (0.5 + Math.random() / 2);
    this.retry = setTimeout(() => void this.run(), wait);
  }

  private away(problem: Problem): void {
    this.isWell = false;
    this.follower.standing({ state: "away", since: this.wellAt, problem });
  }

  private well(): void {
    this.failures = 0;
    this.wellAt = Date.now();
    if (!this.isWell) this.follower.standing({ state: "live" });
    this.isWell = true;
  }

  private async poll(signal: AbortSignal): Promise<void> {
    const { once, params } = this.question;
    while (!signal.aborted && once !== null) {
      this.heardAt = Date.now();
      this.isListening = true;
      const answer = await ask<Usage>(once, params, signal);
      if (signal.aborted) return;
      this.isListening = false;
      this.take(answer);
      await new Promise((done) => {
        this.retry = setTimeout(done, POLL_MS);
      });
    }
  }

  private async stream(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastId) headers["last-event-id"] = this.lastId;
    const address = addressOf(this.question);
    const begun = this.lastId === null ? taken(address, signal) : null;
    const response = await request(address, { signal, headers }, begun);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) throw new Problem(0, "The server sent no stream.");
    const events = new EventReader();
    this.isTold = false;
    // One that goes on where the one before broke may have nothing to say for long.
    const resumed = setTimeout(() => signal.aborted || this.unchanged(), RESUMED_MS);
    try {
      while (true) {
        const piece = await reader.read();
        if (signal.aborted || piece.done) return;
        this.heardAt = Date.now();
        for (const event of events.read(piece.value)) this.heard(event, signal);
      }
    } finally {
      clearTimeout(resumed);
      reader.cancel().catch(() => {});
    }
  }

  private heard(event: ServerEvent, signal: AbortSignal): void {
    if (signal.aborted) return;
    if (event.name === "snapshot") this.take(JSON.parse(event.data) as Usage);
    else if (event.name === "delta" && this.have)
      this.take(applied(this.have, JSON.parse(event.data) as Delta));
    else if (event.name === "problem") this.told(event.data);
    else if (event.name === "") this.unchanged();
    // Only now: an event that could not be taken has not been heard.
    if (event.id) this.lastId = event.id;
  }

  /** Nothing is new: what we have is what the server has, unless it told of a problem since. */
  private unchanged(): void {
    if (this.have && !this.isTold) this.well();
  }

  private told(data: string): void {
    this.isTold = true;
    const { status, detail } = JSON.parse(data) as { status: number; detail?: string };
    const problem = new Problem(status, detail ?? "The server has no newer answer.");
    if (status === 401) signedOut.dispatchEvent(new Event("signed-out"));
    if (!problem.isPassing) throw problem;
    this.failures = 0;
    this.away(problem);
  }

  private take(answer: Usage): void {
    this.have = answer;
    this.isTold = false;
    this.follower.answer(answer);
    this.well();
  }
}
