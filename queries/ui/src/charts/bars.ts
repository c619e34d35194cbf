/**
 * Bars of a few dozen buckets, each of which may lead somewhere. What is not known is hatched, and never a bar of
 * height zero; what is still filling has a dashed top.
 */
import "../styles/bars.css";
import { el, fill } from "../dom";
import { short } from "../numbers";
import { steps } from "./scale";

export interface Bar {
  /** Below it, where there is room. */
  label: string;
  /** All about it in words. */
  says: string;
  /** How certain it is. */
  state: "settled" | "open" | "unknown" | "to come";
  /** What stands on each other in it, the lowest first: how much, and which of the colours. */
  parts: { size: number; colour: number }[];
  /** Where it leads, where it leads somewhere. */
  href?: string;
}

/** Labels below the bars, at most. */
const LABELS = 8;

/** A picture of bars; `says` is its name. */
export class Bars {
  private readonly axis = el("div", { class: "bars-axis", attrs: { "aria-hidden": "true" } });
  private readonly plot = el("ol", { class: "bars-plot" });
  readonly node = el("div", { class: "bars" }, this.axis, this.plot);

  show(bars: readonly Bar[], says: string): void {
    const marks = steps(Math.max(0, ...bars.map(heightOf)), 4);
    const top = marks.at(-1) ?? 1;
    this.plot.setAttribute("aria-label", says);
    this.plot.style.setProperty("--marks", String(marks.length - 1));
    fill(this.axis, ...[...marks].reverse().map((mark) => el("span", {}, short(mark))));
    const each = Math.max(1, Math.ceil(bars.length / LABELS));
    fill(
      this.plot,
      ...bars.map((bar, at) => column(bar, top, at % each === 0 ? bar.label : "", at % (2 * each) !== 0)),
    );
  }
}

function column(bar: Bar, top: number, label: string, isSecond: boolean): HTMLElement {
  const parts = bar.parts
    .filter(({ size }) => size > 0)
    .map(({ size, colour }) => {
      const part = el("i");
      part.style.height = `${(size / top) * 100}%`;
      part.style.background = colour < 0 ? "var(--rest)" : `var(--s${colour % 8})`;
      return part;
    });
  const stack = el("span", { class: "stack", attrs: { "aria-hidden": "true" } }, ...parts.reverse());
  const words = el("span", { class: "spoken" }, bar.says);
  const inner = bar.href
    ? el("a", { class: "bar", href: bar.href, title: bar.says }, stack, words)
    : el("span", { class: "bar", title: bar.says }, stack, words);
  inner.dataset.state = bar.state;
  return el(
    "li",
    {},
    inner,
    el(
      "span",
      { class: isSecond ? "bar-label second" : "bar-label", attrs: { "aria-hidden": "true" } },
      label,
    ),
  );
}

function heightOf({ parts }: Bar): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
