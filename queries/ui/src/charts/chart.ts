/**
 * A chart of an answer, on a canvas: uPlot keeps the axes, the cursor and what is dragged over; the counts are painted
 * by paint.ts. It is built once. What changes is put into it.
 *
 * To keyboards and to those who do not see it, it is a slider over the buckets: its value is the bucket in words.
 */
import "uplot/dist/uPlot.min.css";
import "../styles/chart.css";
import uPlot from "uplot";
import type { Mark } from "../api/marks";
import { el, fill } from "../dom";
import { short } from "../numbers";
import { onTheme } from "../shell/theme";
import { words as markWords, type Placed, placed, SIGNS } from "./marks";
import {
  type Look,
  type Plot,
  paintBands,
  paintCounts,
  paintMarkBands,
  paintMarkTops,
  TOPS_HEIGHT,
} from "./paint";
import { type Palette, palette } from "./palette";
import { steps, type Tick, ticks } from "./scale";
import { bucketAt, lastKnown, most, type Scene } from "./scene";
import { bucket as bucketWhen, count as countWords } from "./words";

/** What one does with a chart. */
export interface Moves {
  /** The bucket that is pointed at; null when none is. */
  pointed(bucket: number | null): void;
  /** The buckets that were dragged over, the first and the last. */
  picked?(first: number, last: number): void;
  /** Closer to a bucket, or away from it. */
  zoomed?(way: "in" | "out", bucket: number | null): void;
  /** To earlier or to later times. */
  panned?(way: -1 | 1): void;
  /** To what was seen before. */
  back?(): void;
}

/** Narrower drags are clicks. */
const DRAG_MIN = 6;
/** Marks that are told of one bucket, one by one. */
const TOLD_MAX = 4;
const AXIS_FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";

export class Chart {
  readonly node = el("div", {
    class: "plot",
    tabIndex: 0,
    attrs: {
      role: "slider",
      "aria-label": "Chart, bucket by bucket",
      "aria-orientation": "horizontal",
      "aria-valuenow": "0",
    },
  });
  private readonly column = el("div", { class: "pointed", hidden: true });
  /** What is marked where one points; the list of marks says the same to who does not see it. */
  private readonly tip = el("ul", { class: "mark-tip", hidden: true, attrs: { "aria-hidden": "true" } });
  private bursts: readonly Mark[] = [];
  private isOwn = true;
  private scene: Scene | null = null;
  private look: Look = { isStacked: false, highlighted: null };
  private colours: Palette | null = null;
  private marks: { scene: Scene; width: number; ticks: Tick[] } | null = null;
  private counts: number[] = [0, 1];
  private axisWidth = 44;
  /** The start of the bucket that is pointed at. */
  private at: number | null = null;
  private plot: uPlot | null = null;
  private readonly observer = new ResizeObserver(() => this.resize());
  private readonly forgetTheme = onTheme(() => {
    this.colours = null;
    this.plot?.redraw(false);
  });

  constructor(private readonly moves: Moves) {
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("blur", () => this.point(null));
    this.node.addEventListener("focus", () => this.focused());
    this.observer.observe(this.node);
  }

  /** Shows this. */
  show(scene: Scene, look: Look): void {
    const before = this.scene?.usage;
    this.scene = scene;
    this.look = look;
    const { height } = this.size();
    this.counts = steps(most(scene, look.isStacked), height < 200 ? 3 : height < 300 ? 5 : 6);
    this.build();
    this.plot?.setData(this.data());
    // uPlot asks for the words of an axis where its ends are others, and the same time has others in another zone.
    if (before && (before.tz !== scene.usage.tz || before.resolution !== scene.usage.resolution))
      this.plot?.redraw(false, true);
    this.showPointed();
    this.node.setAttribute("aria-valuemax", String(Math.max(0, scene.states.length - 1)));
    this.node.setAttribute("aria-valuemin", "0");
    const isRead = document.activeElement === this.node;
    const isThere = Number(this.node.getAttribute("aria-valuenow")) < scene.states.length;
    if (!isRead || !isThere) this.say(this.pointed() ?? Math.max(0, lastKnown(scene)));
  }

  /** Marks these bursts and drops; to a customer, as its own. */
  mark(marks: readonly Mark[], isOwn: boolean): void {
    this.bursts = marks;
    this.isOwn = isOwn;
    this.plot?.redraw(false, false);
    this.showPointed();
  }

  /** Makes a group stand out; null for none. */
  highlight(key: string | null): void {
    if (this.look.highlighted === key) return;
    this.look = { ...this.look, highlighted: key };
    this.plot?.redraw(false, false);
  }

  /** The bucket that is pointed at. */
  pointed(): number | null {
    if (this.at === null || !this.scene) return null;
    const bucket = bucketAt(this.scene.edges, this.at);
    return this.scene.edges[bucket] === this.at ? bucket : null;
  }

  close(): void {
    this.observer.disconnect();
    this.forgetTheme();
    this.plot?.destroy();
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(120, this.node.clientWidth), height: Math.max(120, this.node.clientHeight) };
  }

  private resize(): void {
    // What was shown where it could not be seen is built once it can be.
    if (!this.plot && this.scene) this.show(this.scene, this.look);
    const size = this.size();
    if (this.plot && (this.plot.width !== size.width || this.plot.height !== size.height)) {
      this.plot.setSize(size);
      this.showPointed();
    }
  }

  private data(): uPlot.AlignedData {
    const edges = this.scene?.edges ?? [];
    const middles = edges.slice(1).map((edge, at) => (edge + (edges[at] ?? edge)) / 2);
    return [middles, this.scene?.sums ?? []];
  }

  private build(): void {
    if (this.plot || this.node.clientWidth === 0) return;
    this.plot = new uPlot(this.options(), this.data(), this.node);
    this.plot.over.append(this.column, this.tip);
    // Where fingers slide over it, they point; up and down they scroll the page.
    const touch = (event: PointerEvent): void => {
      if (event.pointerType !== "touch" || !this.plot) return;
      const left = event.clientX - this.plot.over.getBoundingClientRect().left;
      this.point(this.bucketUnder(left));
    };
    this.plot.over.addEventListener("pointerdown", touch);
    this.plot.over.addEventListener("pointermove", touch);
  }

  private options(): uPlot.Options {
    const colour = (name: "quiet" | "grid" | "base") => () => this.palette()[name];
    return {
      ...this.size(),
      padding: [TOPS_HEIGHT, 14, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => this.range() },
        y: { range: () => [0, this.counts.at(-1) ?? 1] },
      },
      series: [{}, { paths: () => null, points: { show: false } }],
      axes: [
        {
          font: AXIS_FONT,
          stroke: colour("quiet"),
          grid: { show: false },
          ticks: { stroke: colour("base"), size: 5 },
          border: { show: true, stroke: colour("base"), width: 1 },
          size: 34,
          splits: (plot) => this.ticks(plot).map((tick) => this.scene?.edges[tick.bucket] ?? 0),
          values: (plot) => this.ticks(plot).map((tick) => tick.label),
        },
        {
          font: AXIS_FONT,
          stroke: colour("quiet"),
          grid: { stroke: colour("grid"), width: 1 },
          ticks: { show: false },
          gap: 8,
          size: () => this.axisSize(),
          splits: () => this.counts,
          values: () => this.counts.map(short),
        },
      ],
      cursor: {
        x: false,
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: DRAG_MIN },
        bind: {
          dblclick: () => () => {
            this.moves.zoomed?.("out", this.pointed());
            return null;
          },
        },
      },
      hooks: {
        drawAxes: [(plot) => this.paint(plot, true)],
        draw: [(plot) => this.paint(plot, false)],
        setCursor: [(plot) => this.moved(plot)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
  }

  private range(): [number, number] {
    const edges = this.scene?.edges ?? [];
    return [edges[0] ?? 0, edges.at(-1) ?? 1];
  }

  /** It never becomes narrower, so that nothing moves while counts grow. */
  private axisSize(): number {
    const letters = Math.max(...this.counts.map((count) => short(count).length));
    this.axisWidth = Math.max(this.axisWidth, letters * 7 + 16);
    return this.axisWidth;
  }

  private ticks(plot: uPlot): Tick[] {
    const scene = this.scene;
    const width = Math.round(plot.bbox.width / uPlot.pxRatio);
    if (!scene || width <= 0) return [];
    if (this.marks?.scene !== scene || this.marks.width !== width)
      this.marks = { scene, width, ticks: ticks(scene.starts, scene.edges, width) };
    return this.marks.ticks;
  }

  private palette(): Palette {
    this.colours ??= palette(this.node);
    return this.colours;
  }

  private paint(plot: uPlot, isBehind: boolean): void {
    const scene = this.scene;
    if (!scene || scene.states.length === 0) return;
    const [from, to] = this.range();
    const { left, top, width, height } = plot.bbox;
    const most = this.counts.at(-1) ?? 1;
    const place: Plot = {
      left,
      top,
      width,
      height,
      ratio: uPlot.pxRatio,
      x: (at) => left + ((at - from) / (to - from)) * width,
      y: (count) => top + height - (count / most) * height,
    };
    const marks = placed(this.bursts, [from, to], Date.now());
    if (isBehind) {
      paintBands(plot.ctx, scene, place, this.palette());
      paintMarkBands(plot.ctx, marks, place, this.palette());
    } else {
      paintCounts(plot.ctx, scene, place, this.palette(), this.look);
      paintMarkTops(plot.ctx, marks, place, this.palette());
      if (performance.getEntriesByName("drawn").length === 0) performance.mark("drawn");
    }
  }

  private bucketUnder(left: number): number | null {
    const [from, to] = this.range();
    const width = this.plot?.over.clientWidth ?? 0;
    if (!this.scene || width === 0 || left < 0 || left > width) return null;
    const bucket = bucketAt(this.scene.edges, from + (left / width) * (to - from));
    return bucket < 0 ? null : bucket;
  }

  private moved(plot: uPlot): void {
    // Without a mouse over it there is nothing to follow: keys and fingers point by themselves.
    if (!plot.cursor.event) return;
    const left = plot.cursor.left ?? -1;
    if (left < 0 && this.node.matches(":focus-visible")) return;
    this.point(left < 0 ? null : this.bucketUnder(left));
  }

  private selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < DRAG_MIN) return;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    const [first, last] = [this.bucketUnder(left), this.bucketUnder(Math.max(left, left + width - 1))];
    if (first !== null && last !== null) this.moves.picked?.(first, last);
  }

  private point(bucket: number | null): void {
    const at = bucket === null ? null : (this.scene?.edges[bucket] ?? null);
    if (at === this.at) return;
    this.at = at;
    this.showPointed();
    this.moves.pointed(this.pointed());
  }

  private showPointed(): void {
    const bucket = this.pointed();
    const [from, to] = this.range();
    this.column.hidden = bucket === null;
    this.showTip(bucket);
    if (bucket === null || !this.scene) return;
    const share = (at: number | undefined): number => (((at ?? from) - from) / (to - from)) * 100;
    const left = share(this.scene.edges[bucket]);
    this.column.style.left = `${left}%`;
    this.column.style.width = `${share(this.scene.edges[bucket + 1]) - left}%`;
  }

  /** The marks of a bucket. */
  private marksIn(bucket: number): Placed[] {
    const [from, to] = [this.scene?.edges[bucket] ?? 0, this.scene?.edges[bucket + 1] ?? 0];
    // One that ends where the bucket begins is not in it.
    return placed(this.bursts, [from, to], Date.now()).filter((place) => place.to > from);
  }

  private showTip(bucket: number | null): void {
    const marks = bucket === null ? [] : this.marksIn(bucket);
    this.tip.hidden = marks.length === 0;
    if (bucket === null || marks.length === 0) return;
    const told = marks.slice(0, TOLD_MAX).map(({ mark }) => el("li", {}, tipOf(mark, this.isOwn)));
    if (marks.length > TOLD_MAX) told.push(el("li", {}, `and ${marks.length - TOLD_MAX} more`));
    fill(this.tip, ...told);
    // Beside what is pointed at, on the side where there is more room.
    const [from, to] = this.range();
    const share = ((this.scene?.edges[bucket] ?? from) - from) / (to - from);
    const [near, far] = share < 0.5 ? (["left", "right"] as const) : (["right", "left"] as const);
    const edge = share < 0.5 ? (this.scene?.edges[bucket + 1] ?? from) : (this.scene?.edges[bucket] ?? to);
    const beyond = ((edge - from) / (to - from)) * 100;
    const taken = share < 0.5 ? beyond : 100 - beyond;
    this.tip.style[near] = `${taken}%`;
    this.tip.style[far] = "auto";
    this.tip.style.maxWidth = `min(22rem, calc(${100 - taken}% - 0.8rem))`;
  }

  private focused(): void {
    if (!this.scene || !this.node.matches(":focus-visible") || this.at !== null) return;
    const bucket = lastKnown(this.scene);
    if (bucket >= 0) this.point(bucket);
  }

  /** The value of the slider: only when it is moved, so that what comes in is not read out every second. */
  private say(bucket: number): void {
    if (!this.scene?.starts[bucket]) return;
    this.node.setAttribute("aria-valuenow", String(bucket));
    const words = `${bucketWhen(this.scene, bucket)}: ${countWords(this.scene, bucket)}`;
    const marks = this.marksIn(bucket).slice(0, TOLD_MAX);
    const told = [words, ...marks.map(({ mark }) => markWords(mark, this.isOwn))].join(". ");
    this.node.setAttribute("aria-valuetext", told);
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.scene) return;
    const bucket = this.pointed();
    const last = this.scene.states.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.shiftKey && (step === -1 || step === 1)) this.moves.panned?.(step);
    else if (step !== undefined) this.stepTo((bucket ?? lastKnown(this.scene)) + step);
    else if (event.key === "Home") this.stepTo(0);
    else if (event.key === "End") this.stepTo(last);
    else if (event.key === "+" || event.key === "=") this.moves.zoomed?.("in", bucket);
    else if (event.key === "-") this.moves.zoomed?.("out", bucket);
    else if (event.key === "Escape") this.moves.back?.();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private stepTo(bucket: number): void {
    const last = (this.scene?.states.length ?? 0) - 1;
    if (last < 0) return;
    const to = Math.min(last, Math.max(0, bucket));
    this.point(to);
    this.say(to);
  }
}

function tipOf(mark: Mark, isOwn: boolean): string {
  return `${SIGNS[mark.kind]} ${markWords(mark, isOwn)}`;
}
