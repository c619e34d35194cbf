/** A stream that is asked for before the code that reads it is there: the server works while the browser loads. */

interface Begun {
  address: string;
  response: Promise<Response>;
  stop: AbortController;
}

/** Whoever is to take it does so by then, or there is nobody. */
const KEPT_MS = 10_000;
let begun: Begun | null = null;

/** Asks for it. */
export function begin(address: string): void {
  const stop = new AbortController();
  const headers = { accept: "text/event-stream" };
  const response = fetch(address, {
    cache: "no-store",
    credentials: "same-origin",
    headers,
    signal: stop.signal,
  });
  const mine = { address, response, stop };
  begun = mine;
  // What was refused is asked anew by who needs it: somebody may have signed in since.
  const forget = (): void => {
    if (begun === mine) begun = null;
  };
  response.then(({ ok }) => ok || forget(), forget);
  setTimeout(() => {
    if (begun === mine) drop();
  }, KEPT_MS);
}

/** The answer to this question, if it is the one that was asked; one is there but once. */
export function taken(address: string, signal: AbortSignal): Promise<Response> | null {
  if (begun === null) return null;
  if (begun.address !== address || signal.aborted) {
    drop();
    return null;
  }
  const { response, stop } = begun;
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  begun = null;
  return response;
}

function drop(): void {
  begun?.stop.abort();
  begun = null;
}
