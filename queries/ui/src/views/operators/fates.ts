/** What became of all that arrived: received = stored + duplicate + rejected + in flight. */
import { el, fill, name, say } from "../../dom";
import { digits } from "../../numbers";
import type { StageState } from "./figures";
import { heading, Panel, scrolled } from "./panel";
import { sign } from "./picture";

export interface Fates {
  customer: string;
  received: number;
  stored: { total: number };
  duplicate: number;
  rejected: { total: number; by_reason: Record<string, number> };
  in_flight: number | null;
  difference: number;
  balanced: boolean | null;
}
export interface Reconcile {
  settled: boolean;
  dead_letters?: { records: number; counts: number } | null;
  rows: Fates[];
}

/** Whether it comes out even, in words. Pure. */
export function balance(
  { balanced, in_flight, difference }: Fates,
  settled: boolean,
): { as: StageState; says: string } {
  if (balanced === true) return { as: "ok", says: "balanced" };
  if (balanced === false) return { as: "stuck", says: `differs by ${digits(difference)}` };
  if (!settled) return { as: "unknown", says: "read while counts came in" };
  return in_flight === null
    ? { as: "unknown", says: "in flight is not known here" }
    : { as: "unknown", says: "open while counts are in flight" };
}

export class FatesPanel {
  readonly panel = new Panel(
    "What became of all that arrived",
    "Received = stored + duplicate + rejected + in flight, to the last count.",
  );
  private readonly rows = el("tbody");
  private readonly dead = el("p", { class: "hint" });

  constructor() {
    const heads = el(
      "tr",
      {},
      heading("Customer", "text"),
      heading("Received"),
      heading("Stored"),
      heading("Duplicate"),
      heading("Rejected"),
      heading("In flight"),
      heading("Balance", "text"),
    );
    fill(this.panel.body, scrolled("Fates by customer", el("thead", {}, heads), this.rows), this.dead);
  }

  show({ rows, settled, dead_letters }: Reconcile): void {
    fill(this.rows, ...rows.map((row) => rowOf(row, settled)));
    const words = dead_letters
      ? dead_letters.records === 0
        ? "No record is among the dead letters."
        : `${digits(dead_letters.records)} records could not be stored, with ${digits(dead_letters.counts)} counts: they are among the dead letters.`
      : "How many records could not be stored is not known here.";
    say(this.dead, words);
    this.dead.classList.toggle("wrong", (dead_letters?.records ?? 0) > 0);
  }
}

function rowOf(row: Fates, settled: boolean): HTMLTableRowElement {
  const { as, says } = balance(row, settled);
  const reasons = Object.entries(row.rejected.by_reason).map(
    ([reason, count]) => `${reason}: ${digits(count)}`,
  );
  const cell = el("td", { class: "text with-sign" }, sign(as), ` ${says}`);
  cell.dataset.state = as;
  return el(
    "tr",
    {},
    el("th", { class: "text", attrs: { scope: "row" } }, name(row.customer)),
    el("td", {}, digits(row.received)),
    el("td", {}, digits(row.stored.total)),
    el("td", {}, digits(row.duplicate)),
    el(
      "td",
      {},
      digits(row.rejected.total),
      reasons.length > 0 && el("span", { class: "quiet reasons" }, reasons.join(", ")),
    ),
    el("td", {}, digits(row.in_flight)),
    cell,
  );
}
