/** Asking the API. The cookie of the session goes along by itself; no token is ever in an address. */

/** Why there is no answer, in the API's own words where it gave some. */
export class Problem extends Error {
  constructor(
    /** The status of the answer; 0 where there was none. */
    readonly status: number,
    detail: string,
    /** The parameter that was wrong, where it was one. */
    readonly parameter: string | null = null,
    /** When it is worth asking again, in milliseconds from now; null where nothing was said. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(detail);
  }

  /** Whether the same question may have an answer later. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** A server that asks for no pause is given one all the same, and one that asks for a day is asked sooner. */
const RETRY_AFTER_MIN_S = 1;
const RETRY_AFTER_MAX_S = 60;

/** Whom it concerns that nobody is signed in any more. */
export const signedOut = new EventTarget();

/** The answer to a question. */
export async function ask<T>(path: string, params: URLSearchParams, signal?: AbortSignal): Promise<T> {
  const response = await request(`${path}?${params}`, { signal: signal ?? null });
  return (await response.json()) as T;
}

/** Sends something. */
export async function send<T>(method: "POST" | "DELETE", path: string, body?: unknown): Promise<T | null> {
  const headers = { "content-type": "application/json" };
  const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
  const response = await request(path, init);
  return response.status === 204 ? null : ((await response.json()) as T);
}

/** A response that is good; anything else is thrown as a [`Problem`]. It may have been asked for already. */
export async function request(
  address: string,
  init: RequestInit,
  begun: Promise<Response> | null = null,
): Promise<Response> {
  let response: Response;
  try {
    response = await (begun ?? fetch(address, { cache: "no-store", credentials: "same-origin", ...init }));
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer.");
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string): string | null => {
    const value = (body as Record<string, unknown> | null)?.[name];
    return typeof value === "string" ? value : null;
  };
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  const problem = new Problem(
    response.status,
    field("detail") ?? `The server answered with status ${response.status}.`,
    field("parameter"),
    Number.isFinite(seconds)
      ? Math.min(Math.max(seconds, RETRY_AFTER_MIN_S), RETRY_AFTER_MAX_S) * 1000
      : null,
  );
  if (response.status === 401) signedOut.dispatchEvent(new Event("signed-out"));
  return problem;
}
