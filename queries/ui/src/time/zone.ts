/**
 * The time zone: chosen once, used everywhere. In the order of what counts: the address, what was chosen in this
 * browser, the zone of the customer (which the server knows, so that nothing is sent), for others that of the browser.
 */
import { change, here } from "../address";
import type { Session } from "../api/types";
import { keep, kept } from "../kept";

/** The zone to ask with; null leaves it to the server, which knows that of the customer. */
export function askedZone(params: URLSearchParams, session: Session | null): string | null {
  const chosen = params.get("tz") ?? kept("tz");
  if (chosen) return chosen;
  // Until the server has said who is signed in, it is taken to be one like the last one here.
  const role = session?.role ?? kept("role") ?? "customer";
  if (role === "customer") return null;
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** Chooses it. */
export function choose(zone: string | null): void {
  keep("tz", zone);
  // An address that names another one would win over what was just chosen.
  const named = here().params.get("tz");
  if (zone !== null || named !== null) change({ tz: zone }, "replace");
}

/** The zones that this browser knows by name. */
export function zones(): string[] {
  return ["UTC", ...Intl.supportedValuesOf("timeZone").filter((zone) => zone !== "UTC")];
}

/** Seconds that a zone is ahead of UTC at that time; none where there is no such zone, as the server will say. */
export function offsetSeconds(zone: string, at: Date): number {
  if (!isZone(zone)) return 0;
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  }).formatToParts(at);
  const part = (type: string): number => Number(parts.find((one) => one.type === type)?.value);
  const wall = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return Math.round((wall - Math.floor(at.getTime() / 1000) * 1000) / 1000);
}

/** Whether this browser knows a zone of this name. */
export function isZone(zone: string): boolean {
  try {
    Intl.DateTimeFormat("en", { timeZone: zone });
    return zone !== "";
  } catch {
    return false;
  }
}
