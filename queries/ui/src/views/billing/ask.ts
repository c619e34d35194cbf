/** What is asked about bills, in the words of the API. */
import { ask, request } from "../../api/client";
import type { Known, Missing } from "../../api/types";
import type { BilledHour } from "./amounts";

export interface Threshold {
  percent: number;
  hard: boolean;
  count: string;
  crossed: boolean;
}

export interface Projection {
  count: string;
  low: string;
  high: string;
  percent: string | null;
  counted_until: string;
  weeks: { from: string; to: string; rest: string }[];
  method: string;
}

export interface MeterToDate {
  meter: string;
  state: Known;
  used: string | null;
  used_final: string;
  included: string | null;
  percent_used: string | null;
  thresholds: Threshold[];
  projection: Projection | null;
}

export interface ToDate {
  customer: string;
  tz: string;
  billing_day: number;
  from: string;
  to: string;
  final_until: string | null;
  complete_until: string | null;
  missing_nodes: Missing[];
  meters: MeterToDate[];
}

export interface StatementRow {
  kind: "usage" | "correction";
  project: string;
  environment: string;
  meter: string;
  start: string;
  end: string;
  count: string;
}

export interface Statement {
  customer: string;
  period: string | null;
  from: string;
  to: string;
  tz: string;
  state: "draft" | "final";
  counted_until: string;
  as_of: string;
  manifest: { rows: number; total: string; usage: string; corrections: string; sha256: string };
  totals: { project: string; environment: string; meter: string; count: string }[];
  rows: StatementRow[];
}

export interface HoursPage {
  from: string;
  to: string;
  state: "open" | "closing" | "final";
  as_of: string;
  final_until: string | null;
  complete_until: string | null;
  rows: BilledHour[];
  next: string | null;
}

export interface Crossing {
  id: string;
  customer: string;
  meter: string;
  period: string;
  percent: number;
  hard: boolean;
  included: string;
  used: string;
  crossed_at: string;
}

export function toDate(customer: string, signal: AbortSignal): Promise<ToDate> {
  return ask("/v1/billing/usage-to-date", new URLSearchParams({ customer }), signal);
}

export function statement(customer: string, period: string, signal: AbortSignal): Promise<Statement> {
  return ask("/v1/billing/statement", new URLSearchParams({ customer, period, draft: "true" }), signal);
}

/** All hours of a range, page after page. */
export async function allHours(params: URLSearchParams, signal: AbortSignal): Promise<BilledHour[]> {
  const asked = new URLSearchParams(params);
  asked.set("limit", "10000");
  const rows: BilledHour[] = [];
  let next: string | null = null;
  do {
    if (next !== null) asked.set("after", next);
    const page: HoursPage = await ask("/v1/billing/hours", asked, signal);
    rows.push(...page.rows);
    next = page.next;
  } while (next !== null);
  return rows;
}

/** All crossings that this token may see, those of this customer, the last one first. */
export async function crossings(customer: string, signal: AbortSignal): Promise<Crossing[]> {
  const params = new URLSearchParams({ limit: "10000" });
  const found: Crossing[] = [];
  let isMore = true;
  while (isMore) {
    const page: { crossings: Crossing[]; next: string; more: boolean } = await ask(
      "/v1/billing/thresholds",
      params,
      signal,
    );
    found.push(...page.crossings.filter((crossing) => crossing.customer === customer));
    params.set("after", page.next);
    isMore = page.more;
  }
  return found.reverse();
}

/** An answer as the text that it is. */
export async function text(path: string, params: URLSearchParams): Promise<string> {
  const response = await request(`${path}?${params}`, {});
  return response.text();
}
