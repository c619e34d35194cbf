/** All flags, page after page: what is there is shown while the rest comes. */
import { ask } from "../../api/client";
import type { FlagPage, FlagUse } from "../../api/types";

/** As many as the API gives at once. */
const PAGE = 1000;

export interface Loaded {
  /** The answer of the first page, with all about the range. */
  page: FlagPage;
  flags: readonly FlagUse[];
  isAll: boolean;
}

/** Asks for all pages; `progress` is told of each. */
export async function loadFlags(
  params: URLSearchParams,
  signal: AbortSignal,
  progress: (loaded: Loaded) => void,
): Promise<Loaded> {
  const asked = new URLSearchParams(params);
  asked.set("limit", String(PAGE));
  const page = await ask<FlagPage>("/v1/flags", asked, signal);
  const flags = [...page.flags];
  let next = page.next;
  while (next !== null) {
    progress({ page, flags, isAll: false });
    asked.set("after", next);
    const more = await ask<FlagPage>("/v1/flags", asked, signal);
    flags.push(...more.flags);
    next = more.next;
  }
  return { page, flags, isAll: true };
}
