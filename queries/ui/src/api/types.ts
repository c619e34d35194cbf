/** What the API answers, as far as the page reads it. The words are those of `/openapi.json`. */

/** What is known of a bucket. Unknown is never zero: its count is null. */
export type Known = "complete" | "open" | "partial" | "unknown";

export type Dimension = "customer" | "project" | "environment" | "flag" | "variant" | "sdk";
export const DIMENSIONS: readonly Dimension[] = [
  "customer",
  "project",
  "environment",
  "flag",
  "variant",
  "sdk",
];

/** What names beyond a limit are added up as. */
export const OTHER = "__other__";

export interface Missing {
  node: number;
  region?: string | null;
  since: string;
}

/** The values of what is grouped by; null is the group of those that have none. */
export type Group = Partial<Record<Dimension, string | null>>;

export interface UsageRow extends Group {
  start: string;
  end: string;
  state: Known;
  count: number | null;
  previous?: { start: string; state: Known; count: number | null };
}

export interface Usage {
  meter: string;
  from: string;
  to: string;
  resolution: string;
  tz: string;
  complete_until: string | null;
  missing_nodes: Missing[];
  beyond_retention?: string;
  /** Then the finest resolution in which all of it is still kept. */
  finest_kept?: string;
  group_by: Dimension[];
  state: Known;
  total: number | null;
  previous?: { from: string; to: string; state: Known; total: number | null };
  rows: UsageRow[];
}

/** What is different since the answer before: docs/live.md. */
export interface Delta extends Usage {
  groups?: Group[];
}

export interface FlagUse {
  customer: string;
  project: string;
  flag: string;
  environments: string[];
  first_seen: string | null;
  last_seen: string | null;
  in_registry: boolean | null;
  owner?: string | null;
  remove_by?: string | null;
  past_removal?: boolean | null;
  total: number | null;
  previous_total: number | null;
  change: number | null;
  trend: (number | null)[];
}

export interface FlagPage {
  from: string;
  to: string;
  resolution: string;
  tz: string;
  complete_until: string | null;
  missing_nodes: Missing[];
  state: Known;
  buckets: { start: string; end: string; state: Known }[];
  flags: FlagUse[];
  next: string | null;
}

export type Role = "customer" | "billing" | "operator";

/** Who is signed in, and what of the registry is theirs. */
export interface Session {
  role: Role;
  token_id: string;
  note: string | null;
  expires_at: string | null;
  tz: string;
  version: string;
  customers: {
    id: string;
    name: string | null;
    tz: string | null;
    projects: { id: string; environments: string[] }[];
  }[];
}
