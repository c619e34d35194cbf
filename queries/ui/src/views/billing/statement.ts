/** The statement of a period: what it comes to, and the files to keep. */
import { Problem } from "../../api/client";
import { el, fill, name, say } from "../../dom";
import { digits } from "../../numbers";
import { save } from "../../parts/csv";
import { day, wall } from "../../time/clock";
import { type Statement, text } from "./ask";
import { periodName } from "./days";
import { meterName } from "./meter";

const FORMATS = [
  { format: "csv", label: "CSV", ending: "csv", type: "text/csv" },
  { format: "json", label: "JSON", ending: "json", type: "application/json" },
  { format: "focus", label: "FOCUS", ending: "focus.csv", type: "text/csv" },
] as const;

export class StatementCard {
  private readonly title = el("h2");
  private readonly state = el("span", { class: "badge" });
  private readonly says = el("p", { class: "hint" });
  private readonly totals = el("div");
  private readonly wrong = el("p", { class: "wrong", attrs: { role: "alert" } });
  private shown: { customer: string; period: string; isDraft: boolean } | null = null;
  private readonly buttons = FORMATS.map(({ format, label, ending, type }) => {
    const button = el("button", { type: "button", disabled: true }, label);
    button.addEventListener("click", () => void this.save(format, ending, type, button));
    return button;
  });
  readonly node = el(
    "section",
    { class: "card statement", attrs: { "aria-label": "Statement" } },
    el(
      "div",
      { class: "view-head" },
      this.title,
      this.state,
      el(
        "div",
        { class: "buttons", attrs: { role: "group", "aria-label": "Save the statement as" } },
        ...this.buttons,
      ),
    ),
    this.says,
    this.wrong,
    this.totals,
  );

  show(statement: Statement, period: string): void {
    const isDraft = statement.state === "draft";
    this.shown = { customer: statement.customer, period, isDraft };
    say(this.title, `Statement of ${periodName(period)}`);
    say(this.state, isDraft ? "draft" : "final");
    this.state.className = `badge ${isDraft ? "warn" : "good"}`;
    const until = `Only what is final until ${wall(statement.counted_until)} (${statement.tz}) is on it; the period ends ${day(statement.to)}.`;
    say(this.says, isDraft ? until : "Every hour of the period is final: the same bytes for ever.");
    for (const button of this.buttons) button.disabled = false;
    fill(this.totals, totals(statement), proof(statement));
  }

  refuse(period: string, why: string): void {
    this.shown = null;
    say(this.title, `Statement of ${periodName(period)}`);
    say(this.state, "");
    this.state.className = "";
    say(this.says, why);
    for (const button of this.buttons) button.disabled = true;
    fill(this.totals);
  }

  private async save(format: string, ending: string, type: string, button: HTMLButtonElement): Promise<void> {
    if (!this.shown) return;
    const { customer, period, isDraft } = this.shown;
    const params = new URLSearchParams({ customer, period, format, ...(isDraft ? { draft: "true" } : {}) });
    button.disabled = true;
    say(this.wrong, "");
    try {
      const file = await text("/v1/billing/statement", params);
      const safe = customer.replaceAll(/[^\p{L}\p{N}._-]+/gu, "_");
      save(file, `flagmeter-${safe}-${period}${isDraft ? "-draft" : ""}.${ending}`, type, false);
    } catch (error) {
      say(this.wrong, error instanceof Problem ? error.message : "The file could not be saved.");
    } finally {
      button.disabled = false;
    }
  }
}

function totals({ totals }: Statement): HTMLElement {
  if (totals.length === 0) return el("p", { class: "hint" }, "Nothing was counted in it.");
  const head = (text: string, kind = ""): HTMLElement =>
    el("th", { class: kind, attrs: { scope: "col" } }, text);
  const rows = totals.map(({ project, environment, meter, count }) =>
    el(
      "tr",
      {},
      el("th", { class: "text", attrs: { scope: "row" } }, name(project)),
      el("td", { class: "text" }, name(environment)),
      el("td", { class: "text" }, meterName(meter)),
      el("td", {}, digits(count)),
    ),
  );
  return el(
    "div",
    { class: "scroll", tabIndex: 0, attrs: { role: "region", "aria-label": "Totals of the statement" } },
    el(
      "table",
      {},
      el("caption", {}, "What each environment used"),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          head("Project", "text"),
          head("Environment", "text"),
          head("Meter", "text"),
          head("Count"),
        ),
      ),
      el("tbody", {}, ...rows),
    ),
  );
}

/** What proves that two copies of it are the same. */
function proof({ manifest, as_of }: Statement): HTMLElement {
  const fact = (term: string, ...says: (Node | string)[]): HTMLElement =>
    el("div", {}, el("dt", {}, term), el("dd", {}, ...says));
  return el(
    "details",
    {},
    el("summary", {}, `${digits(manifest.total)} in all, in ${digits(manifest.rows)} rows: what proves it`),
    el(
      "dl",
      { class: "proof" },
      fact("Used in the period", digits(manifest.usage)),
      fact("Corrections of hours before it", digits(manifest.corrections)),
      fact("SHA-256 of the CSV", el("code", {}, manifest.sha256)),
      fact("As the ledger stood at", el("code", {}, as_of)),
    ),
  );
}
