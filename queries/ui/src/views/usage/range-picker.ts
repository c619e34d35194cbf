/** The range of time: presets side by side, and any other by a form. */
import { change, here } from "../../address";
import type { Usage } from "../../api/types";
import { range as rangeWords } from "../../charts/words";
import { el, fill, say } from "../../dom";
import { choice } from "../../parts/choice";
import { openDialog } from "../../shell/dialog";
import { instant } from "./question";
import { atWall, chosen, presets, relativeSeconds, resolution, wallAt } from "./range";

export class RangePicker {
  private readonly presets = choice(
    "Range",
    presets("UTC", 0).map(({ label }) => ({ value: label, label })),
    (label) => this.choose(label),
  );
  private readonly own = el("button", { type: "button", class: "range", title: "Another range (r)" });
  readonly node = el("div", { class: "range-picker" }, this.presets.node, this.own);
  private zone = "UTC";
  private usage: Usage | null = null;

  constructor() {
    this.own.addEventListener("click", () => this.open());
  }

  show(params: URLSearchParams, zone: string, usage: Usage | null): void {
    this.zone = zone;
    this.usage = usage;
    this.presets.set(chosen(params, zone, Date.now())?.label ?? null);
    say(this.own, usage ? rangeWords(usage.resolution, usage.from, usage.to) : "Another range");
  }

  private choose(label: string): void {
    const preset = presets(this.zone, Date.now()).find((one) => one.label === label);
    if (!preset) return;
    const { from, to } = preset;
    const seconds = relativeSeconds(from) ?? 31 * 86_400;
    change({ from, to, ...resolution(here(), seconds) });
  }

  /** A form for any range: in the clocks of the zone, or a length of time up to now. */
  open(): void {
    const asked = here().params;
    const isRelative = relativeSeconds(asked.get("from") ?? "-24h") !== null && !asked.get("to");
    const last = lastForm(asked.get("from") ?? "-24h", (span) => {
      dialog.close();
      change({ from: span, to: null, ...resolution(here(), relativeSeconds(span) ?? 0) });
    });
    const between = betweenForm(this.zone, this.usage, (from, to) => {
      dialog.close();
      change({ from: instant(from), to: instant(to), ...resolution(here(), (to - from) / 1000) });
    });
    const dialog = openDialog("Range", last, el("hr"), between);
    (isRelative ? last : between).querySelector("input")?.focus();
  }
}

/** A length of time up to now. */
function lastForm(from: string, chosen: (span: string) => void): HTMLFormElement {
  const [, count, unit] = /^-(\d+)([mhdw])$/.exec(from) ?? [];
  const length = el("input", { type: "number", id: "range-length", min: "1", value: count ?? "24" });
  const names = { m: "minutes", h: "hours", d: "days", w: "weeks" };
  const units = el(
    "select",
    { attrs: { "aria-label": "Unit" } },
    ...Object.entries(names).map(([value, label]) => el("option", { value }, label)),
  );
  units.value = unit ?? "h";
  const form = el(
    "form",
    { class: "range-form" },
    el("label", { htmlFor: "range-length" }, "The last"),
    el("div", { class: "row" }, length, units, el("button", { type: "submit", class: "primary" }, "Show")),
    el("p", { class: "hint" }, "It moves along with the time."),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    chosen(`-${Math.max(1, Math.floor(Number(length.value) || 1))}${units.value}`);
  });
  return form;
}

/** From one time to another, by the clocks of the zone. */
function betweenForm(
  zone: string,
  usage: Usage | null,
  chosen: (from: number, to: number) => void,
): HTMLFormElement {
  const end = (name: string, at: string | undefined): HTMLInputElement =>
    el("input", {
      type: "datetime-local",
      id: `range-${name}`,
      required: true,
      value: wallAt(zone, at === undefined ? Date.now() : Date.parse(at)),
    });
  const from = end("from", usage?.from);
  const to = end("to", usage?.to);
  const wrong = el("p", { class: "wrong", attrs: { role: "alert" } });
  const form = el(
    "form",
    { class: "range-form" },
    el("label", { htmlFor: "range-from" }, "From"),
    from,
    el("label", { htmlFor: "range-to" }, "To, not included"),
    to,
    el("p", { class: "hint" }, `By the clocks of ${zone}.`),
    wrong,
    el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, "Show")),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const begins = atWall(zone, from.value, false);
    const ends = atWall(zone, to.value, true);
    if (begins !== null && ends !== null && begins < ends) {
      chosen(begins, ends);
      return;
    }
    fill(wrong, "The end must be after the beginning.");
    to.setAttribute("aria-invalid", "true");
    to.focus();
  });
  return form;
}
