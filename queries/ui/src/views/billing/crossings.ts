/** The thresholds that were crossed, in this period and before. */
import { el, name } from "../../dom";
import { digits } from "../../numbers";
import { day, wall } from "../../time/clock";
import type { Crossing } from "./ask";
import { inZone } from "./days";
import { meterName } from "./meter";

export function crossingsOf(crossings: readonly Crossing[], zone: string): HTMLElement {
  if (crossings.length === 0) return el("p", { class: "hint" }, "No threshold was crossed.");
  const head = (text: string, kind = ""): HTMLElement =>
    el("th", { class: kind, attrs: { scope: "col" } }, text);
  return el(
    "div",
    { class: "scroll", tabIndex: 0, attrs: { role: "region", "aria-label": "Thresholds that were crossed" } },
    el(
      "table",
      {},
      el("caption", {}, "Thresholds that were crossed, the last one first"),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          head("Found", "text"),
          head("Meter", "text"),
          head("Threshold"),
          head("Included"),
          head("Used then"),
          head("Period from", "text"),
        ),
      ),
      el("tbody", {}, ...crossings.map((crossing) => rowOf(crossing, zone))),
    ),
  );
}

function rowOf(
  { crossed_at, meter, percent, hard, included, used, period, id }: Crossing,
  zone: string,
): HTMLElement {
  return el(
    "tr",
    { title: id },
    el("th", { class: "text", attrs: { scope: "row" } }, wall(inZone(crossed_at, zone))),
    el("td", { class: "text" }, name(meterName(meter))),
    el("td", {}, `${percent} %`, hard && el("span", { class: "badge bad" }, "hard")),
    el("td", {}, digits(included)),
    el("td", {}, digits(used)),
    el("td", { class: "text" }, day(inZone(period, zone))),
  );
}
