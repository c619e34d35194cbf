/** What a meter comes to: used, of what is included, and where that leads. */
import { el, fill } from "../../dom";
import { digits } from "../../numbers";
import { day, wall } from "../../time/clock";
import { greatest, portion, withRoom } from "./amounts";
import type { MeterToDate, Projection, Threshold } from "./ask";

export const METERS: Record<string, string> = { evaluations: "Evaluations", requests: "Requests" };

export function meterName(meter: string): string {
  return METERS[meter] ?? meter;
}

/** The card of a meter in the period that runs. */
export function meterCard(meter: MeterToDate): HTMLElement {
  return el(
    "section",
    { class: "card meter", attrs: { "aria-label": meterName(meter.meter) } },
    el("h2", {}, meterName(meter.meter), stateBadge(meter)),
    used(meter),
    allowance(meter),
    parts(meter),
    thresholds(meter),
    projection(meter),
  );
}

function stateBadge({ state }: MeterToDate): HTMLElement | null {
  if (state === "partial") {
    const why = "Not all of the period is known: something may be missing.";
    return el("span", { class: "badge warn", title: why }, "perhaps not all");
  }
  return state === "unknown" ? el("span", { class: "badge bad" }, "not known") : null;
}

function used({ used, included, percent_used }: MeterToDate): HTMLElement {
  const of =
    included === null
      ? "The plan includes nothing of it, or there is none."
      : `of ${digits(included)} included${percent_used === null ? "" : `: ${percent_used} %`}`;
  return el(
    "div",
    { class: "used" },
    el("p", { class: "amount" }, used === null ? "Not known" : digits(used)),
    el("p", { class: "hint" }, of),
  );
}

/** The bar: what is final, what is not yet, where the thresholds are, and what is to be expected. */
function allowance(meter: MeterToDate): HTMLElement | null {
  if (meter.included === null) return null;
  const included = BigInt(meter.included);
  const final = BigInt(meter.used_final);
  const all = meter.used === null ? final : BigInt(meter.used);
  const high = meter.projection ? BigInt(meter.projection.high) : 0n;
  const marks = meter.thresholds.map(({ count }) => BigInt(count));
  const top = greatest([included, all, high, ...marks]);
  const scale = (top * 104n) / 100n;
  const place = (node: HTMLElement, from: bigint, to: bigint): HTMLElement => {
    node.style.left = `${portion(from, scale) * 100}%`;
    node.style.width = `${portion(to > from ? to - from : 0n, scale) * 100}%`;
    return node;
  };
  const bar = el("div", { class: "allowance", attrs: { "aria-hidden": "true" } });
  const track = el("div", { class: "track" });
  fill(
    track,
    place(el("i", { class: "included" }), 0n, included),
    place(el("i", { class: "more" }), 0n, all),
    place(el("i", { class: "final" }), 0n, final),
  );
  const places = meter.thresholds.map(({ count }) => portion(BigInt(count), scale));
  const named = withRoom(places);
  fill(
    bar,
    track,
    ...meter.thresholds.map((threshold, at) => mark(threshold, places[at] ?? 0, named.has(at))),
  );
  if (meter.projection) {
    bar.append(place(el("i", { class: "expected" }), BigInt(meter.projection.low), high));
  }
  return bar;
}

function mark({ percent, crossed, hard }: Threshold, at: number, isNamed: boolean): HTMLElement {
  const classes = ["mark-at", crossed && "crossed", hard && "hard", at < 0.15 && "early"].filter(Boolean);
  const node = el("i", { class: classes.join(" ") }, isNamed ? `${percent} %` : "");
  node.style.left = `${at * 100}%`;
  return node;
}

function parts({ used, used_final, projection }: MeterToDate): HTMLElement {
  const fact = (key: string, term: string, says: string): HTMLElement =>
    el(
      "div",
      {},
      el("dt", {}, el("i", { class: `key ${key}`, attrs: { "aria-hidden": "true" } }), term),
      el("dd", {}, says),
    );
  const open = used === null ? "not known" : digits(String(BigInt(used) - BigInt(used_final)));
  const expected = projection
    ? `${digits(projection.count)}${projection.percent === null ? "" : ` (${projection.percent} % of what is included)`}`
    : "not known yet: it takes two weeks of counts";
  return el(
    "dl",
    { class: "parts" },
    fact("final", "Final, for good", digits(used_final)),
    fact("more", "Counted, not final yet", open),
    fact("expected", "To be expected by the end", expected),
  );
}

function thresholds({ thresholds }: MeterToDate): HTMLElement | null {
  if (thresholds.length === 0) return null;
  const one = ({ percent, count, crossed, hard }: Threshold): HTMLElement => {
    const word = crossed ? "crossed" : "not crossed";
    const badge = el(
      "span",
      { class: `badge ${crossed ? (hard ? "bad" : "warn") : ""}` },
      `${crossed ? "▲ " : ""}${word}`,
    );
    return el(
      "li",
      {},
      `${percent} %${hard ? ", hard" : ""}`,
      el("span", { class: "quiet" }, `from ${digits(count)}`),
      badge,
    );
  };
  return el("ul", { class: "thresholds", attrs: { "aria-label": "Thresholds" } }, ...thresholds.map(one));
}

function projection({ projection }: MeterToDate): HTMLElement | null {
  if (!projection) return null;
  return el(
    "details",
    {},
    el("summary", {}, `Between ${digits(projection.low)} and ${digits(projection.high)}: how this is made`),
    el("p", { class: "hint" }, projection.method),
    el("p", { class: "hint" }, `What lies before ${wall(projection.counted_until)} was counted.`),
    weeks(projection),
  );
}

function weeks({ weeks }: Projection): HTMLElement {
  const head = (text: string, kind = ""): HTMLElement =>
    el("th", { class: kind, attrs: { scope: "col" } }, text);
  const rows = weeks.map(({ from, to, rest }) =>
    el(
      "tr",
      {},
      el("th", { class: "text", attrs: { scope: "row" } }, `${day(from)} – ${day(to)}`),
      el("td", {}, digits(rest)),
    ),
  );
  return el(
    "table",
    {},
    el("caption", {}, "The weeks that it is made from"),
    el("thead", {}, el("tr", {}, head("If the rest goes as the week", "text"), head("The rest comes to"))),
    el("tbody", {}, ...rows),
  );
}
