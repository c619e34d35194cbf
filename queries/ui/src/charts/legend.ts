/** The groups of a chart: their colours, their names, and what they count; each leads to itself alone. */
import { el, fill, name, say } from "../dom";
import { digits, growth } from "../numbers";
import { clock, day } from "../time/clock";
import { type Line, REST, type Scene } from "./scene";

export interface Choices {
  /** A group was chosen; none where choosing means nothing. */
  chosen?(line: Line): void;
  /** A group is pointed at; null when none is. */
  pointed(key: string | null): void;
}

interface Row {
  node: HTMLTableRowElement;
  swatch: HTMLElement;
  cells: HTMLElement[];
}

const SHARES = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });

export class Legend {
  private readonly at = el("th", { scope: "col", class: "at" });
  private readonly head = el("tr");
  private readonly body = el("tbody");
  readonly node = el(
    "div",
    { class: "scroll legend", hidden: true },
    el("table", {}, el("caption", {}, "Groups"), el("thead", {}, this.head), this.body),
  );
  private rows = new Map<string, Row>();
  private isCompared: boolean | null = null;

  constructor(private readonly choices: Choices) {
    // Where there are no buttons in it, keys scroll it all the same.
    if (!choices.chosen) {
      this.node.tabIndex = 0;
      this.node.setAttribute("role", "region");
      this.node.setAttribute("aria-label", "Groups");
    }
    this.body.addEventListener("mouseleave", () => choices.pointed(null));
  }

  /** Shows the groups of a scene, and their counts in one of its buckets. */
  show(scene: Scene, bucket: number): void {
    // Where nothing was counted the API has one group without a name.
    this.node.hidden = !scene.isGrouped || !scene.usage.total;
    if (this.node.hidden) return;
    this.showHead(scene.usage.previous !== undefined);
    say(this.at, bucket < 0 ? "–" : moment(scene, bucket));
    const before = this.rows;
    this.rows = new Map(scene.lines.map((line) => [line.key, before.get(line.key) ?? this.row(line)]));
    const nodes = [...this.rows.values()].map(({ node }) => node);
    if (
      nodes.length !== this.body.children.length ||
      nodes.some((node, at) => this.body.children[at] !== node)
    )
      fill(this.body, ...nodes);
    for (const line of scene.lines) this.showLine(scene, line, bucket);
  }

  private showHead(isCompared: boolean): void {
    if (isCompared === this.isCompared) return;
    this.isCompared = isCompared;
    const column = (text: string, classes = ""): HTMLElement =>
      el("th", { scope: "col", class: classes }, text);
    fill(
      this.head,
      column("Group", "text"),
      this.at,
      column("Total"),
      column("Share", "share"),
      isCompared && column("Before", "before"),
      isCompared && column("Change", "change"),
    );
    this.rows = new Map();
  }

  private row(line: Line): Row {
    const swatch = el("i", { class: "swatch", attrs: { "aria-hidden": "true" } });
    const label = el("span", { class: "group" }, swatch, line.isRest ? line.name : name(line.name));
    const { chosen } = this.choices;
    const button = el("button", { type: "button", title: `Only ${line.name}` }, label);
    button.addEventListener("click", () => chosen?.(line));
    button.addEventListener("focus", () => this.choices.pointed(line.key));
    button.addEventListener("blur", () => this.choices.pointed(null));
    const cells = Array.from({ length: this.isCompared ? 5 : 3 }, () => el("td"));
    cells[2]?.classList.add("share");
    cells[3]?.classList.add("before");
    cells[4]?.classList.add("change");
    const isChoice = chosen !== undefined && !line.isRest;
    const node = el("tr", {}, el("th", { scope: "row", class: "text" }, isChoice ? button : label), ...cells);
    node.addEventListener("mouseenter", () => this.choices.pointed(line.key));
    return { node, swatch, cells };
  }

  private showLine(scene: Scene, line: Line, bucket: number): void {
    const row = this.rows.get(line.key);
    if (!row) return;
    const colour = `swatch ${line.colour === REST ? "rest" : `s${line.colour}`}`;
    if (row.swatch.className !== colour) row.swatch.className = colour;
    const all = scene.usage.total;
    const texts = [
      digits(line.counts[bucket] ?? null),
      digits(line.total),
      line.total === null || !all ? "–" : SHARES.format(line.total / all),
      digits(line.totalBefore),
      growth(line.change),
    ];
    row.cells.forEach((cell, at) => {
      say(cell, texts[at] ?? "");
    });
  }
}

/** When a bucket begins, as short as it can be said. */
function moment(scene: Scene, bucket: number): string {
  const start = scene.starts[bucket] ?? "";
  return ["1d", "1mo"].includes(scene.usage.resolution) ? day(start) : clock(start);
}
