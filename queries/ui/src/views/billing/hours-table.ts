/** The hours of a period or a day as rows, page after page. */
import { changed, href } from "../../address";
import { el, fill, name, say } from "../../dom";
import { digits } from "../../numbers";
import { clock, day, wall } from "../../time/clock";
import type { BilledHour } from "./amounts";
import type { HoursPage } from "./ask";
import { inZone } from "./days";
import { meterName } from "./meter";

const STATES = {
  open: { shape: "○", means: "The hour is not over, or not everything of it is in" },
  closing: { shape: "◐", means: "Everything is in; the grace period runs, or late counts wait" },
  final: { shape: "●", means: "It stands in the ledger: this row never changes" },
} as const;

export class HoursTable {
  private readonly rows = el("tbody");
  private readonly pages = el("nav", { class: "pages", attrs: { "aria-label": "Pages of hours" } });
  private readonly none = el("p", { class: "hint", hidden: true });
  readonly node: HTMLElement;

  constructor() {
    const head = (text: string, kind = ""): HTMLElement =>
      el("th", { class: kind, attrs: { scope: "col" } }, text);
    this.node = el(
      "div",
      {},
      el(
        "div",
        { class: "scroll hours", tabIndex: 0, attrs: { role: "region", "aria-label": "Hours" } },
        el(
          "table",
          {},
          el("caption", {}, "Hours with their state and revision"),
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              head("Hour", "text"),
              head("Project", "text"),
              head("Environment", "text"),
              head("Meter", "text"),
              head("Count"),
              head("State", "text"),
              head("Revision"),
              head("Found", "text"),
            ),
          ),
          this.rows,
        ),
      ),
      this.none,
      this.pages,
    );
  }

  show(page: HoursPage, zone: string, params: URLSearchParams): void {
    const last = latest(page.rows);
    fill(this.rows, ...page.rows.map((row) => rowOf(row, zone, !last.has(row))));
    this.none.hidden = page.rows.length > 0;
    say(this.none, noRows(page));
    const to = (after: string | null): string => href("/billing", changed(params, { after }));
    fill(
      this.pages,
      params.has("after") && el("a", { class: "button", href: to(null) }, "First page"),
      page.next !== null && el("a", { class: "button", href: to(page.next) }, "Next page"),
    );
  }
}

/** What it means that there is no row: nothing was counted, as far as all is in. Pure. */
export function noRows({ state, to, complete_until }: Omit<HoursPage, "rows">): string {
  const isAllIn =
    state === "final" || (complete_until !== null && Date.parse(complete_until) >= Date.parse(to));
  return isAllIn
    ? "Nothing was counted in these hours."
    : "Nothing was counted in these hours, as far as is known: not everything of them is in.";
}

/** Of each hour the row that says what it comes to. */
function latest(rows: readonly BilledHour[]): Set<BilledHour> {
  const last = new Map<string, BilledHour>();
  for (const row of rows) last.set(JSON.stringify([row.project, row.environment, row.meter, row.hour]), row);
  return new Set(last.values());
}

function rowOf(row: BilledHour, zone: string, isReplaced: boolean): HTMLTableRowElement {
  const local = inZone(row.hour, zone);
  const { shape, means } = STATES[row.state];
  const isCorrected = row.revision !== null && row.revision > 1;
  const missing = row.missing_nodes.join(", ");
  return el(
    "tr",
    isReplaced ? { class: "replaced" } : {},
    el("th", { class: "text", attrs: { scope: "row" } }, `${day(local)}, ${clock(local)}`),
    el("td", { class: "text" }, name(row.project)),
    el("td", { class: "text" }, name(row.environment)),
    el("td", { class: "text" }, meterName(row.meter)),
    el("td", {}, digits(row.count)),
    el(
      "td",
      { class: "text", title: means },
      el("span", { class: `hour-state ${row.state}`, attrs: { "aria-hidden": "true" } }, shape),
      ` ${row.state}${isReplaced ? ", replaced" : ""}`,
      !row.complete &&
        el(
          "span",
          { class: "badge warn", title: `Silent: nodes ${missing || "not known"}` },
          "perhaps not all",
        ),
    ),
    el(
      "td",
      {},
      row.revision === null ? "–" : String(row.revision),
      isCorrected &&
        row.difference !== null &&
        el("span", { class: "quiet" }, ` (+${digits(row.difference)})`),
    ),
    el("td", { class: "text" }, row.closed_at === null ? "–" : wall(inZone(row.closed_at, zone))),
  );
}
