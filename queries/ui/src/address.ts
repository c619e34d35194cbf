/** The address: the whole state of a view is in it, and nowhere else. */

/** Where we are: a path of ours and its parameters. */
export interface Place {
  path: string;
  params: URLSearchParams;
}

/** What is to be different: null takes a parameter away, a list stands repeatedly. */
export type Change = Record<string, string | readonly string[] | null>;

type Listener = (place: Place) => void;
const listeners = new Set<Listener>();

/** Where we are now. */
export function here(): Place {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

/** The parameters with this change. */
export function changed(params: URLSearchParams, change: Change): URLSearchParams {
  const next = new URLSearchParams(params);
  for (const [name, value] of Object.entries(change)) {
    next.delete(name);
    if (value === null) continue;
    for (const one of typeof value === "string" ? [value] : value) next.append(name, one);
  }
  return next;
}

/** The address of a place. */
export function href(path: string, params: URLSearchParams): string {
  // Slashes, colons and commas need no escape in a query, and an address that can be read can be changed by hand.
  const query = params.toString().replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%2C", ",");
  return query ? `${path}?${query}` : path;
}

/** Goes there: as a new step of the history, or in the place of this one. */
export function go(path: string, params: URLSearchParams, how: "push" | "replace" = "push"): void {
  const next = href(path, params);
  if (next === href(location.pathname, new URLSearchParams(location.search))) return;
  history[how === "push" ? "pushState" : "replaceState"](null, "", next);
  tell();
}

/** Changes parameters of this place. */
export function change(change: Change, how: "push" | "replace" = "push"): void {
  const place = here();
  go(place.path, changed(place.params, change), how);
}

/** Calls for each place we come to. */
export function onPlace(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function tell(): void {
  const place = here();
  for (const listener of [...listeners]) listener(place);
}

/** Follows links of ours without loading the page anew, and the history. */
export function listen(): void {
  addEventListener("popstate", tell);
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || !isOurs(link)) return;
    event.preventDefault();
    go(link.pathname, new URLSearchParams(link.search));
  });
}

/** Whether a link leads to a view, which is shown without loading the page anew. */
function isOurs(link: HTMLAnchorElement): boolean {
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return false;
  if (link.pathname.startsWith("/v1/") || link.search.includes("plain=1")) return false;
  // To a part of the page that is open the browser leads by itself, and takes the focus along.
  return link.hash === "" || link.pathname !== location.pathname;
}
