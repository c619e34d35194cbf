/** The head of the table, the list of orders that stands for it on a phone, and the tabs. */
import { change, changed, here, href } from "../../address";
import { el, fill } from "../../dom";
import { digits } from "../../numbers";
import { COLUMNS } from "./columns";
import { SHOWS, type Show } from "./judge";
import { type Sort, sortOf, sortText, turned } from "./sort";

const TEXT = new Set(["flag", "customer", "project", "environments", "owner", "trend"]);

/** The head: a click on a column sorts by it, another turns it round. */
export function head(): HTMLTableSectionElement {
  const cells = COLUMNS.map(({ id, head: text, sort }) => {
    const cell = el("th", {
      class: `of-${id}${TEXT.has(id) ? " text" : ""}`,
      attrs: { role: "columnheader", scope: "col", "data-sort": sort ?? "" },
    });
    if (sort === null) fill(cell, text);
    else {
      const button = el(
        "button",
        { type: "button" },
        text,
        el("span", { class: "arrow", ariaHidden: "true" }),
      );
      button.addEventListener("click", () => {
        const next = turned(sortOf(here().params.get("sort")), sort);
        change({ sort: sortText(next) }, "replace");
      });
      fill(cell, button);
    }
    return cell;
  });
  return el(
    "thead",
    { attrs: { role: "rowgroup" } },
    el("tr", { attrs: { role: "row", "aria-rowindex": "1" } }, ...cells),
  );
}

/** The orders as a list, where the head has no room. */
export class SortList {
  private readonly list = el("select", { id: "sort-by" });
  readonly node = el(
    "span",
    { class: "sort-list" },
    el("label", { htmlFor: "sort-by" }, "Sort by"),
    this.list,
  );

  constructor() {
    for (const { head: text, sort } of COLUMNS) {
      if (sort === null) continue;
      const first = turned({ by: "total", isDown: false }, sort);
      const isName = !first.isDown && sort !== "total";
      fill(
        this.list,
        ...this.list.children,
        option(sortText({ by: sort, isDown: !isName }), `${text}, ${isName ? "A to Z" : "greatest first"}`),
        option(sortText({ by: sort, isDown: isName }), `${text}, ${isName ? "Z to A" : "least first"}`),
      );
    }
    this.list.addEventListener("change", () => change({ sort: this.list.value }, "replace"));
  }

  show(sort: Sort, table: HTMLTableElement): void {
    this.list.value = sortText(sort);
    for (const cell of table.tHead?.rows[0]?.cells ?? []) {
      if (cell.dataset.sort === sort.by)
        cell.setAttribute("aria-sort", sort.isDown ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  }
}

function option(value: string, text: string): HTMLOptionElement {
  return el("option", { value }, text);
}

/** Which flags, each choice with how many there are. */
export class Tabs {
  readonly node = el("nav", { class: "tabs", attrs: { "aria-label": "Which flags" } });
  private readonly links = SHOWS.map(({ value, label, means }) => {
    const count = el("span", { class: "count" }, "–");
    const link = el("a", { title: means }, label, " ", count);
    this.node.append(link);
    return { value, link, count };
  });

  show(show: Show, counts: Record<Show, number>, params: URLSearchParams): void {
    for (const { value, link, count } of this.links) {
      link.href = href("/flags", changed(params, { show: value === "all" ? null : value }));
      count.textContent = digits(counts[value]);
      if (value === show) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
}
