/** From the answer of `/v1/usage` to who has which share. Pure. */
import { type Dimension, OTHER, type Usage } from "../../api/types";

/** What a group came to. */
export interface Share {
  /** Its name; null for those that have none. */
  value: string | null;
  label: string;
  total: number | null;
  /** Its part of all; null where nothing is known, or nothing was counted. */
  part: number | null;
  trend: (number | null)[];
}

/** The groups of an answer in their order, which is that of their totals. */
export function shares(usage: Usage, dimension: Dimension): Share[] {
  const groups = new Map<string | null, Share>();
  for (const row of usage.rows) {
    const value = row[dimension] ?? null;
    const share = groups.get(value) ?? emptyShare(value);
    groups.set(value, share);
    share.trend.push(row.count);
    if (row.count !== null) share.total = (share.total ?? 0) + row.count;
  }
  const all = [...groups.values()].filter(
    ({ value, total }) => value !== null || total !== 0 || groups.size === 1,
  );
  all.sort(
    (a, b) => Number(a.value === OTHER) - Number(b.value === OTHER) || (b.total ?? -1) - (a.total ?? -1),
  );
  const sum = all.reduce((sum, { total }) => sum + (total ?? 0), 0);
  for (const share of all) {
    share.part = share.total === null || sum === 0 ? null : share.total / sum;
  }
  return all;
}

function emptyShare(value: string | null): Share {
  const label = value === OTHER ? "all others" : value === null || value === "" ? "(none)" : value;
  return { value, label, total: null, part: null, trend: [] };
}
