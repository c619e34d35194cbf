/** Traffic that is out of the ordinary and not over yet. */
import { el, fill, name } from "../../dom";
import { digits } from "../../numbers";
import { ago } from "../../time/clock";
import { heading, Panel, scrolled } from "./panel";
import { sign } from "./picture";

export interface Bursts {
  alerts: Alert[];
  more: boolean;
}
interface Alert {
  id: string;
  customer: string;
  /** Null for all of them, and so are those below. */
  project: string | null;
  environment: string | null;
  flag: string | null;
  kind: "burst" | "drop";
  since: string;
  observed: string | null;
  low: string;
  high: string;
  ratio: number | null;
  excess: string;
  learning: boolean;
  contributors: { by: string; name: string | null; count: string }[];
  chart: string;
}

const KINDS = {
  burst: { as: "late", says: "burst", beyond: "more" },
  drop: { as: "stuck", says: "drop", beyond: "missing" },
} as const;

export class BurstsPanel {
  readonly panel = new Panel("Out of the ordinary", "Bursts and drops that are not over, as they were told.");
  private readonly none = el("p", { class: "hint" }, "Nothing is out of the ordinary.");
  private readonly rows = el("tbody");
  private readonly table = scrolled(
    "Bursts and drops that are not over",
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        heading("Of", "text"),
        heading("What", "text"),
        heading("Since", "text"),
        heading("A minute"),
        heading("Expected"),
        heading("Times"),
        heading("In all"),
        heading("Most of it from", "text"),
      ),
    ),
    this.rows,
  );
  private readonly more = el(
    "p",
    { class: "hint", hidden: true },
    "There are more: they are in /v1/operator/bursts.",
  );

  constructor() {
    this.table.hidden = true;
    this.none.hidden = true;
    fill(this.panel.body, this.none, this.table, this.more);
  }

  /** `now` is that of the server: clocks of browsers differ. */
  show({ alerts, more }: Bursts, now: number): void {
    this.none.hidden = alerts.length > 0 || more;
    this.table.hidden = alerts.length === 0;
    this.more.hidden = !more;
    // Who moves along the table by keys stays where they are.
    const focused = document.activeElement?.closest("tr")?.dataset.alert;
    fill(this.rows, ...[...alerts].reverse().map((alert) => rowOf(alert, now)));
    const again = [...this.rows.rows].find(({ dataset }) => focused && dataset.alert === focused);
    again?.querySelector("a")?.focus({ preventScroll: true });
  }
}

function rowOf(alert: Alert, now: number): HTMLTableRowElement {
  const { as, says, beyond } = KINDS[alert.kind];
  const parts = [alert.customer, alert.project, alert.environment, alert.flag];
  const who = parts.filter((one) => one !== null);
  const link = el("a", { href: alert.chart });
  for (const [place, one] of who.entries()) link.append(place > 0 ? " › " : "", name(one));
  const what = el(
    "td",
    { class: "text with-sign" },
    sign(as),
    ` ${says}${alert.learning ? ", still learning" : ""}`,
  );
  what.dataset.state = as;
  // Each sort of them is all of the traffic again: the first one is enough here.
  const from = alert.contributors
    .filter(({ by }) => by === alert.contributors[0]?.by)
    .slice(0, 3)
    .flatMap((part, place) => [
      place > 0 ? ", " : "",
      part.name === null ? "those without a name" : name(part.name),
    ]);
  const row = el(
    "tr",
    {},
    el("th", { class: "text", attrs: { scope: "row" } }, link),
    what,
    el("td", { class: "text" }, ago(alert.since, now)),
    el("td", {}, digits(alert.observed)),
    el("td", {}, `${digits(alert.low)} – ${digits(alert.high)}`),
    el("td", {}, alert.ratio === null ? "–" : `${alert.ratio.toLocaleString()} ×`),
    el("td", {}, `${digits(alert.excess)} ${beyond}`),
    el("td", { class: "text" }, ...from),
  );
  row.dataset.alert = alert.id;
  return row;
}
