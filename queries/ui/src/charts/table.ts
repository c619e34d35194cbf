/** The counts of a chart as a table: the newest bucket first, as many rows as one reads, and more when asked. */
import { el, fill, name, say } from "../dom";
import { digits } from "../numbers";
import type { Scene } from "./scene";
import { bucket as bucketWhen, bucketWords, range, STATES } from "./words";

const ROWS = 60;
/** So many cells are made at once: more would be felt. */
const CELLS_MORE = 10_000;

export class DataTable {
  private readonly caption = el("caption");
  private readonly head = el("tr");
  private readonly body = el("tbody");
  private readonly count = el("span", { class: "quiet" });
  private readonly more = el("button", { type: "button" }, "More rows");
  readonly node = el(
    "div",
    { class: "data" },
    el(
      "div",
      { class: "scroll", tabIndex: 0, attrs: { role: "region", "aria-label": "Counts as a table" } },
      el("table", {}, this.caption, el("thead", {}, this.head), this.body),
    ),
    el("div", { class: "data-foot" }, this.count, this.more),
  );
  private scene: Scene | null = null;
  private columns = "";
  private limit = ROWS;
  private rows = new Map<string, { node: HTMLTableRowElement; says: string }>();

  constructor() {
    this.more.addEventListener("click", () => {
      const cells = (this.scene?.lines.length ?? 1) + 3;
      this.limit += Math.max(ROWS, Math.floor(CELLS_MORE / cells));
      if (this.scene) this.show(this.scene);
    });
  }

  show(scene: Scene): void {
    this.scene = scene;
    const { usage } = scene;
    say(
      this.caption,
      `${usage.meter} per ${bucketWords(usage.resolution)}, ${range(usage.resolution, usage.from, usage.to)}, ${usage.tz}`,
    );
    this.showHead(scene);
    const all = scene.states.length;
    const shown = Math.min(all, this.limit);
    const nodes: HTMLTableRowElement[] = [];
    const next = new Map<string, { node: HTMLTableRowElement; says: string }>();
    for (let bucket = all - 1; bucket >= all - shown; bucket -= 1) {
      const start = scene.starts[bucket] ?? "";
      const says = signature(scene, bucket);
      const before = this.rows.get(start);
      const row = before?.says === says ? before : { node: this.row(scene, bucket), says };
      next.set(start, row);
      nodes.push(row.node);
    }
    this.rows = next;
    if (nodes.some((node, at) => this.body.children[at] !== node) || this.body.children.length !== shown)
      fill(this.body, ...nodes);
    this.more.hidden = shown >= all;
    say(
      this.count,
      shown < all ? `The newest ${digits(shown)} of ${digits(all)} rows` : `${digits(all)} rows`,
    );
  }

  private showHead(scene: Scene): void {
    const columns = JSON.stringify([
      scene.isGrouped ? scene.lines.map(({ key }) => key) : [],
      scene.usage.previous !== undefined,
      scene.usage.resolution,
      scene.usage.tz,
    ]);
    if (columns === this.columns) return;
    this.columns = columns;
    this.limit = ROWS;
    this.rows = new Map();
    const column = (text: string, classes = ""): HTMLElement =>
      el("th", { scope: "col", class: classes }, text);
    fill(
      this.head,
      column("Time", "text"),
      column("State", "text"),
      column(scene.isGrouped ? "Total" : capital(scene.usage.meter)),
      scene.usage.previous !== undefined && column("Before"),
      ...(scene.isGrouped
        ? scene.lines.map((line) =>
            el("th", { scope: "col", class: "name" }, line.isRest ? line.name : name(line.name)),
          )
        : []),
    );
  }

  private row(scene: Scene, bucket: number): HTMLTableRowElement {
    const state = scene.states[bucket] ?? "unknown";
    const isCompared = scene.usage.previous !== undefined;
    return el(
      "tr",
      { attrs: { "data-state": state } },
      el("th", { scope: "row", class: "text" }, bucketWhen(scene, bucket)),
      el("td", { class: "text state" }, STATES[state]),
      el("td", {}, cell(scene.sums[bucket])),
      isCompared && el("td", {}, cell(scene.sumsBefore[bucket])),
      ...(scene.isGrouped ? scene.lines.map(({ counts }) => el("td", {}, cell(counts[bucket]))) : []),
    );
  }
}

/** What is not known is said in the state already. */
function cell(count: number | null | undefined): string {
  return count === null || count === undefined ? "–" : digits(count);
}

function capital(words: string): string {
  return words.slice(0, 1).toUpperCase() + words.slice(1);
}

function signature(scene: Scene, bucket: number): string {
  const counts = scene.lines.map((line) => line.counts[bucket]);
  return `${scene.states[bucket]} ${scene.sumsBefore[bucket]} ${counts.join(" ")}`;
}
