/** Whose traffic is large, and whose changes: in what order. Pure. */

export interface Line {
  rate: number | null;
  rate_before: number | null;
  difference: number | null;
  change: number | null;
  hour_total: number | null;
  sparkline: (number | null)[];
}
export interface CustomerLine extends Line {
  customer: string;
}
export interface Top {
  meter: string;
  by: string;
  complete_until: string | null;
  window: { from: string | null; to: string | null; state: string };
  total: Line;
  customers: CustomerLine[];
  others: (Line & { customers: number }) | null;
}

export const COLUMNS = ["customer", "rate", "rate_before", "difference", "change", "hour_total"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Sort {
  by: Column;
  isDown: boolean;
}

/** Of an address; what is not understood is the greatest rate. */
export function sortOf(text: string | null): Sort {
  const isDown = text?.startsWith("-") ?? false;
  const by = COLUMNS.find((one) => one === (isDown ? text?.slice(1) : text));
  return by ? { by, isDown } : { by: "rate", isDown: true };
}

export function turned(sort: Sort, by: Column): Sort {
  return sort.by === by ? { by, isDown: !sort.isDown } : { by, isDown: by !== "customer" };
}

export function sortText({ by, isDown }: Sort): string {
  return isDown ? `-${by}` : by;
}

/** Which customers the API is to tell of: those who change most, where that is what is looked at. */
export function askedBy({ by }: Sort): "rate" | "change" {
  return by === "difference" || by === "change" ? "change" : "rate";
}

/** The customers in this order; what is not known stands last, whichever way round. */
export function ordered(lines: readonly CustomerLine[], { by, isDown }: Sort): CustomerLine[] {
  const sign = isDown ? -1 : 1;
  return [...lines].sort((a, b) => {
    if (by === "customer") return sign * a.customer.localeCompare(b.customer);
    const [left, right] = [a[by], b[by]];
    if (left === null || right === null) return Number(left === null) - Number(right === null);
    return sign * (left - right) || a.customer.localeCompare(b.customer);
  });
}
