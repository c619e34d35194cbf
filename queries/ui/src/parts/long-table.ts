/**
 * A table of any length that is a real table: only the rows near the window are in the page, and each says which of
 * how many it is. All rows are of one height, which the style sheet sets.
 */
import { eachFrame, el, fill } from "../dom";

/** Rows beyond the edges of the window, so that scrolling shows no gap. */
const MARGIN = 6;

export interface LongRows<T extends object> {
  /** The row of an item; made once for each item, and kept for as long as the item is. */
  row(item: T): HTMLTableRowElement;
  /** What of a row takes the focus. */
  focus(row: HTMLTableRowElement): HTMLElement | null;
  /** Tells items of two answers that are the same thing. */
  key(item: T): string;
}

export class LongTable<T extends object> {
  readonly body = el("tbody");
  private items: readonly T[] = [];
  private rows = new WeakMap<T, HTMLTableRowElement>();
  private height = 0;
  private shown = "";
  /** The row that keys move from. */
  private at = -1;
  private readonly draw = eachFrame(() => this.drawNow());

  constructor(
    private readonly table: HTMLTableElement,
    private readonly of: LongRows<T>,
  ) {
    table.append(this.body);
    addEventListener("scroll", this.draw, { passive: true });
    addEventListener("resize", this.measure);
    this.body.addEventListener("focusin", (event) => this.focused(event));
    this.body.addEventListener("keydown", (event) => this.pressed(event));
  }

  close(): void {
    removeEventListener("scroll", this.draw);
    removeEventListener("resize", this.measure);
  }

  /** Shows these items. */
  set(items: readonly T[]): void {
    const current = this.items[this.at];
    this.items = items;
    this.at = current ? items.findIndex((item) => this.of.key(item) === this.of.key(current)) : -1;
    this.table.setAttribute("aria-rowcount", String(items.length + 1));
    this.shown = "";
    this.drawNow();
  }

  /** Makes all rows anew when they are next shown. */
  forget(): void {
    this.rows = new WeakMap();
    this.shown = "";
  }

  /** Moves the focus by so many rows; from nowhere, to the first one in sight. */
  move(by: number): void {
    if (this.items.length === 0) return;
    const from = this.at < 0 || !this.isFocused() ? this.inSight() - (by > 0 ? 1 : -1) : this.at;
    this.focusAt(Math.min(this.items.length - 1, Math.max(0, from + by)));
  }

  focusAt(at: number): void {
    const item = this.items[at];
    if (!item) return;
    this.at = at;
    this.bringIntoSight(at);
    this.drawNow();
    const row = this.rows.get(item);
    if (row) this.of.focus(row)?.focus({ preventScroll: true });
  }

  private isFocused(): boolean {
    return this.body.contains(document.activeElement);
  }

  private inSight(): number {
    const head = this.table.tHead?.offsetHeight ?? 0;
    return Math.max(0, Math.ceil((head - this.body.getBoundingClientRect().top) / this.rowHeight()));
  }

  private bringIntoSight(at: number): void {
    const head = this.table.tHead?.offsetHeight ?? 0;
    const top = this.body.getBoundingClientRect().top + at * this.rowHeight();
    if (top < head) scrollBy(0, top - head);
    else if (top + this.rowHeight() > innerHeight) scrollBy(0, top + this.rowHeight() - innerHeight);
  }

  private readonly measure = (): void => {
    this.height = 0;
    this.draw();
  };

  private rowHeight(): number {
    if (this.height === 0) {
      const row = this.body.querySelector<HTMLTableRowElement>("tr[aria-rowindex]");
      this.height = row?.getBoundingClientRect().height ?? 0;
    }
    return this.height || 44;
  }

  private drawNow(): void {
    const height = this.rowHeight();
    const above = -this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / height) - MARGIN);
    const last = Math.min(this.items.length - 1, Math.ceil((above + innerHeight) / height) + MARGIN);
    // The row with the focus stays in the page, or the focus would be lost.
    const focused = this.isFocused() ? this.at : -1;
    const shown = `${first} ${last} ${focused} ${this.items.length} ${height}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const nodes: HTMLElement[] = [];
    let next = 0;
    const put = (at: number): void => {
      if (at > next) nodes.push(gap((at - next) * height));
      nodes.push(this.rowAt(at));
      next = at + 1;
    };
    if (focused >= 0 && focused < first) put(focused);
    for (let at = first; at <= last; at += 1) put(at);
    if (focused > last) put(focused);
    if (next < this.items.length) nodes.push(gap((this.items.length - next) * height));
    this.place(nodes);
    if (this.height === 0 && this.items.length > 0) this.draw();
  }

  /** Puts the rows in place without touching those that are there already: what has the focus keeps it. */
  private place(nodes: readonly HTMLElement[]): void {
    const stays = new Set<Node>(nodes);
    for (const node of [...this.body.childNodes]) if (!stays.has(node)) node.remove();
    let before: ChildNode | null = this.body.firstChild;
    for (const node of nodes) {
      if (node === before) before = before.nextSibling;
      else this.body.insertBefore(node, before);
    }
  }

  private rowAt(at: number): HTMLTableRowElement {
    const item = this.items[at];
    if (!item) return el("tr");
    const row = this.rows.get(item) ?? this.of.row(item);
    this.rows.set(item, row);
    row.setAttribute("aria-rowindex", String(at + 2));
    row.dataset.at = String(at);
    return row;
  }

  private focused(event: FocusEvent): void {
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    this.at = Number(row?.dataset.at ?? -1);
  }

  private pressed(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    event.preventDefault();
    this.move(by);
  }
}

/** The room of rows that are not in the page. */
function gap(height: number): HTMLTableRowElement {
  const row = el("tr", { class: "gap", attrs: { "aria-hidden": "true" } });
  const cell = el("td");
  cell.style.height = `${height}px`;
  fill(row, cell);
  return row;
}
