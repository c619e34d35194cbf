/** Whose traffic is large, and whose changes. */
import { change, here, href } from "../../address";
import { spark } from "../../charts/spark";
import { el, fill, name } from "../../dom";
import { digits, growth, short } from "../../numbers";
import { span } from "../../time/clock";
import { rate } from "./figures";
import { heading, Panel, scrolled } from "./panel";
import {
  type Column,
  type CustomerLine,
  type Line,
  ordered,
  type Sort,
  sortOf,
  sortText,
  type Top,
  turned,
} from "./top-order";

export const WINDOWS = ["1m", "5m", "15m", "30m"] as const;

const HEADS: readonly [Column, string][] = [
  ["customer", "Customer"],
  ["rate", "Rate"],
  ["rate_before", "Before"],
  ["difference", "Difference"],
  ["change", "Change"],
  ["hour_total", "Last hour"],
];

export class TopPanel {
  readonly panel = new Panel("Customers");
  private readonly window = el(
    "select",
    { id: "top-window" },
    ...WINDOWS.map((value) => el("option", { value }, value.replace("m", " min"))),
  );
  private readonly of = el("p", { class: "hint" });
  private readonly rows = el("tbody");
  private readonly feet = el("tfoot");
  private readonly heads = HEADS.map(([by, text]) => {
    const button = el("button", { type: "button" }, text, el("span", { class: "arrow", ariaHidden: "true" }));
    button.addEventListener("click", () =>
      change({ sort: sortText(turned(sortOf(here().params.get("sort")), by)) }, "replace"),
    );
    const cell = el(
      "th",
      { class: by === "customer" ? "text" : `of-${by}`, attrs: { scope: "col" } },
      button,
    );
    return { by, cell };
  });
  private top: Top | null = null;

  constructor() {
    this.window.addEventListener("change", () =>
      change({ window: this.window.value === "5m" ? null : this.window.value }, "replace"),
    );
    this.panel.tools.append(el("label", { htmlFor: "top-window" }, "Rates over"), this.window);
    const row = el("tr", {}, ...this.heads.map(({ cell }) => cell), heading("By minute"));
    fill(
      this.panel.body,
      this.of,
      scrolled("Customers by what they count", el("thead", {}, row), this.rows, this.feet),
    );
  }

  choose(window: string, sort: Sort): void {
    this.window.value = window;
    for (const { by, cell } of this.heads) {
      if (by === sort.by) cell.setAttribute("aria-sort", sort.isDown ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    if (this.top) this.show(this.top, sort);
  }

  show(top: Top, sort: Sort): void {
    this.top = top;
    const { from, to } = top.window;
    const isSome = top.window.state === "partial" ? ", perhaps not all" : "";
    this.of.textContent =
      from && to
        ? `${top.meter} per second, ${span(from, to)}${isSome}, and as long before`
        : "Nothing is in yet.";
    const focused = this.rows.contains(document.activeElement)
      ? document.activeElement?.closest("tr")?.dataset.customer
      : null;
    fill(this.rows, ...ordered(top.customers, sort).map((line) => rowOf(line)));
    const { others, total } = top;
    fill(
      this.feet,
      others &&
        lineOf(
          el("th", { class: "text", attrs: { scope: "row" } }, `${digits(others.customers)} others`),
          others,
        ),
      lineOf(el("th", { class: "text", attrs: { scope: "row" } }, "All"), total),
    );
    // Who moves along the table by keys stays with the customer.
    const again = [...this.rows.rows].find(({ dataset }) => focused && dataset.customer === focused);
    again?.querySelector("a")?.focus({ preventScroll: true });
  }
}

function rowOf(line: CustomerLine): HTMLTableRowElement {
  const params = new URLSearchParams({ customer: line.customer, from: "-1h" });
  const link = el("a", { href: href("/usage", params) }, name(line.customer));
  const row = lineOf(el("th", { class: "text", attrs: { scope: "row" } }, link), line, line.customer);
  row.dataset.customer = line.customer;
  return row;
}

function lineOf(head: HTMLElement, line: Line, whose = "all of these"): HTMLTableRowElement {
  const known = line.sparkline.filter((value) => value !== null);
  const says =
    known.length === 0
      ? "Nothing is known of the last hour"
      : `The last hour of ${whose}: at most ${short(Math.max(...known))} in a minute`;
  const signed =
    line.difference === null
      ? "–"
      : `${line.difference > 0 ? "+" : line.difference < 0 ? "−" : ""}${rate(Math.abs(line.difference))}`;
  return el(
    "tr",
    {},
    head,
    el("td", {}, rate(line.rate)),
    el("td", { class: "of-rate_before" }, rate(line.rate_before)),
    el("td", {}, signed),
    el("td", {}, growth(line.change)),
    el("td", {}, digits(line.hour_total)),
    el("td", { class: "of-spark" }, spark(line.sparkline, says)),
  );
}
