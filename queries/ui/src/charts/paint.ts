/** Draws a scene on a canvas: what is known, what is not, and what is not all of it. */
import { type Placed, tops } from "./marks";
import type { Palette } from "./palette";
import { type Line, REST, runs, type Scene, type Shown, stacked } from "./scene";

/** Where things lie, in pixels of the canvas. */
export interface Plot {
  left: number;
  top: number;
  width: number;
  height: number;
  /** Pixels of the canvas for one of the style sheet. */
  ratio: number;
  x(at: number): number;
  y(count: number): number;
}

export interface Look {
  isStacked: boolean;
  /** The group that stands out; null for none. */
  highlighted: string | null;
}

type Context = CanvasRenderingContext2D;

/** What lies behind the counts: where nothing is known, and where not all is. */
export function paintBands(ctx: Context, scene: Scene, plot: Plot, colours: Palette): void {
  for (const state of ["unknown", "partial"] as const) {
    const isUnknown = state === "unknown";
    for (const [left, width] of spans(scene, plot, state)) {
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, plot.top, width, plot.height);
      ctx.clip();
      ctx.globalAlpha = isUnknown ? 0.1 : 0.05;
      ctx.fillStyle = colours.hatch;
      ctx.fillRect(left, plot.top, width, plot.height);
      ctx.globalAlpha = isUnknown ? 0.6 : 0.4;
      ctx.strokeStyle = colours.hatch;
      ctx.lineWidth = (isUnknown ? 1.2 : 0.7) * plot.ratio;
      hatch(ctx, left, plot.top, width, plot.height, (isUnknown ? 8 : 4) * plot.ratio);
      ctx.restore();
    }
  }
}

/** How high above the counts triangles are, and how wide: what is kept free above them. */
export const TOPS_HEIGHT = 18;
const HALF = 5;
const HEIGHT = 8;
const RISE = 4;

/** Behind the counts: bursts and drops from their beginning to their end. */
export function paintMarkBands(ctx: Context, places: readonly Placed[], plot: Plot, colours: Palette): void {
  ctx.save();
  ctx.globalAlpha = 0.13;
  ctx.fillStyle = colours.burst;
  const path = new Path2D();
  for (const [left, width] of places.map((place) => across(place, plot)))
    path.rect(left, plot.top, width, plot.height);
  ctx.fill(path);
  ctx.restore();
}

/** Above the counts: a line as long as each, and a triangle that says what it is. Nothing of it lies on the counts. */
export function paintMarkTops(ctx: Context, places: readonly Placed[], plot: Plot, colours: Palette): void {
  if (places.length === 0) return;
  const path = new Path2D();
  const thick = 2 * plot.ratio;
  for (const [left, width] of places.map((place) => across(place, plot)))
    path.rect(left, plot.top - thick, width, thick);
  const [half, right] = [HALF * plot.ratio, plot.left + plot.width];
  for (const top of tops(places, plot.x, 2 * half + plot.ratio)) {
    const x = Math.min(right - half, Math.max(plot.left + half, top.x));
    const bottom = plot.top - RISE * plot.ratio;
    const [tip, base] =
      top.kind === "burst" ? [bottom - HEIGHT * plot.ratio, bottom] : [bottom, bottom - HEIGHT * plot.ratio];
    path.moveTo(x - half, base);
    path.lineTo(x + half, base);
    path.lineTo(x, tip);
    path.closePath();
  }
  ctx.save();
  ctx.fillStyle = colours.burst;
  ctx.fill(path);
  ctx.restore();
}

/** Where it begins and how wide it is: however short it was, it is seen. */
function across({ from, to }: Placed, plot: Plot): [number, number] {
  const least = 2 * plot.ratio;
  const left = Math.min(plot.x(from), plot.left + plot.width - least);
  return [left, Math.max(least, plot.x(to) - left)];
}

function spans(scene: Scene, plot: Plot, state: Shown): [number, number][] {
  return runs(scene.states, state).map(([first, last]) => {
    const left = plot.x(scene.edges[first] ?? 0);
    return [left, Math.max(2 * plot.ratio, plot.x(scene.edges[last + 1] ?? 0) - left)];
  });
}

/** Slanted lines all over a rectangle, on a grid of the whole canvas, so that neighbours meet. */
function hatch(ctx: Context, left: number, top: number, width: number, height: number, apart: number): void {
  ctx.beginPath();
  const bottom = top + height;
  for (let x = Math.floor((left - height) / apart) * apart; x < left + width; x += apart) {
    ctx.moveTo(x, bottom);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
}

/** The counts, and above them the words in gaps. */
export function paintCounts(ctx: Context, scene: Scene, plot: Plot, colours: Palette, look: Look): void {
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.left, plot.top - plot.ratio, plot.width, plot.height + 2 * plot.ratio);
  ctx.clip();
  if (look.isStacked) paintBars(ctx, scene, plot, colours, look);
  else paintLines(ctx, scene, plot, colours, look);
  paintUntil(ctx, scene, plot, colours);
  ctx.restore();
  paintWords(ctx, scene, plot, colours);
}

function strength(line: Line, look: Look): number {
  return look.highlighted === null || look.highlighted === line.key ? 1 : 0.22;
}

/** Its own colour; one that has none is made to stand out by ink. */
function colourOf(line: Line, colours: Palette, look: Look): string {
  const isOne = look.highlighted === line.key && line.colour === REST && !line.isRest;
  return isOne ? colours.ink : colours.of(line.colour);
}

/** Where the bar of a bucket begins and how wide it is: bars stand apart where there is room. */
function bar(scene: Scene, plot: Plot, bucket: number): [number, number] {
  const left = plot.x(scene.edges[bucket] ?? 0);
  const width = plot.x(scene.edges[bucket + 1] ?? 0) - left;
  const apart = width >= 4 * plot.ratio ? Math.min(width * 0.2, 3 * plot.ratio) : 0;
  return [left + apart / 2, Math.max(0.8, width - apart)];
}

/** The counts as bars that stand on each other: the largest group below. */
function paintBars(ctx: Context, scene: Scene, plot: Plot, colours: Palette, look: Look): void {
  const tops = stacked(scene.lines);
  const isFine = scene.lines.length > 9;
  scene.lines.forEach((line, at) => {
    const [known, filling] = [new Path2D(), new Path2D()];
    line.counts.forEach((count, bucket) => {
      if (!count) return;
      const [left, width] = bar(scene, plot, bucket);
      const below = plot.y(tops[at - 1]?.[bucket] ?? 0);
      // What was counted is seen, however little it is.
      const height = Math.max(0.7 * plot.ratio, below - plot.y(tops[at]?.[bucket] ?? 0));
      // Many of one colour are told apart by what is between them, where there is room.
      const apart = isFine && line.colour === REST && height >= 3 * plot.ratio ? 0.7 * plot.ratio : 0;
      const isOpen = scene.states[bucket] === "open";
      (isOpen ? filling : known).rect(left, below - height + apart, width, height - apart);
    });
    const colour = colourOf(line, colours, look);
    ctx.fillStyle = colour;
    ctx.globalAlpha = strength(line, look);
    ctx.fill(known);
    ctx.globalAlpha *= 0.3;
    ctx.fill(filling);
    ctx.globalAlpha = strength(line, look);
    ctx.setLineDash([3 * plot.ratio, 2 * plot.ratio]);
    outline(ctx, filling, colour, plot.ratio);
    ctx.setLineDash([]);
  });
  ctx.globalAlpha = 1;
  paintPartialBars(ctx, scene, plot, colours);
  paintBefore(ctx, scene, plot, scene.sumsBefore, colours.ink);
}

function outline(ctx: Context, path: Path2D, colour: string, width: number): void {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.stroke(path);
}

/** Bars of which not all is known have stripes. */
function paintPartialBars(ctx: Context, scene: Scene, plot: Plot, colours: Palette): void {
  const path = new Path2D();
  let isAny = false;
  scene.states.forEach((state, bucket) => {
    const sum = scene.sums[bucket];
    if (state !== "partial" || !sum) return;
    const [left, width] = bar(scene, plot, bucket);
    path.rect(left, plot.y(sum), width, plot.y(0) - plot.y(sum));
    isAny = true;
  });
  if (!isAny) return;
  ctx.save();
  ctx.clip(path);
  ctx.strokeStyle = colours.card;
  ctx.lineWidth = 1.2 * plot.ratio;
  hatch(ctx, plot.left, plot.top, plot.width, plot.height, 5 * plot.ratio);
  ctx.restore();
}

/** The counts as lines, each with its point in the middle of its bucket. They break where nothing is known. */
function paintLines(ctx: Context, scene: Scene, plot: Plot, colours: Palette, look: Look): void {
  const middles = scene.states.map(
    (_, bucket) => (plot.x(scene.edges[bucket] ?? 0) + plot.x(scene.edges[bucket + 1] ?? 0)) / 2,
  );
  const [only] = scene.lines;
  if (only && scene.lines.length === 1) paintArea(ctx, middles, only, plot, colours.of(only.colour));
  ctx.lineJoin = "round";
  // The largest is drawn last, on top.
  for (const line of [...scene.lines].reverse()) {
    const colour = colourOf(line, colours, look);
    const isFaint = line.colour === REST && !line.isRest && look.highlighted !== line.key;
    ctx.globalAlpha = strength(line, look) * (isFaint ? 0.65 : 1);
    paintBefore(ctx, scene, plot, line.before, colour);
    const isOpen = (bucket: number): boolean =>
      scene.states[bucket - 1] === "open" || scene.states[bucket] === "open";
    const width = (look.highlighted === line.key ? 2.5 : isFaint ? 1 : 1.75) * plot.ratio;
    outline(
      ctx,
      joined(middles, line.counts, plot, (bucket) => !isOpen(bucket)),
      colour,
      width,
    );
    ctx.setLineDash([3 * plot.ratio, 3 * plot.ratio]);
    outline(ctx, joined(middles, line.counts, plot, isOpen), colour, width);
    ctx.setLineDash([]);
    paintPoints(ctx, scene, middles, line, plot, colour, colours.card);
  }
  ctx.globalAlpha = 1;
}

/** The lines from each count to the next one for which `isMeant` holds. */
function joined(
  middles: readonly number[],
  counts: readonly (number | null)[],
  plot: Plot,
  isMeant: (bucket: number) => boolean,
): Path2D {
  const path = new Path2D();
  let endsAt = -1;
  for (let bucket = 1; bucket < counts.length; bucket += 1) {
    const before = counts[bucket - 1] ?? null;
    const count = counts[bucket] ?? null;
    if (before === null || count === null || !isMeant(bucket)) continue;
    if (endsAt !== bucket - 1) path.moveTo(middles[bucket - 1] ?? 0, plot.y(before));
    path.lineTo(middles[bucket] ?? 0, plot.y(count));
    endsAt = bucket;
  }
  return path;
}

function paintArea(ctx: Context, middles: readonly number[], line: Line, plot: Plot, colour: string): void {
  const path = new Path2D();
  let begins = -1;
  for (let bucket = 0; bucket <= line.counts.length; bucket += 1) {
    const count = line.counts[bucket] ?? null;
    if (count !== null) {
      if (begins < 0) path.moveTo(middles[bucket] ?? 0, plot.y(0));
      if (begins < 0) begins = bucket;
      path.lineTo(middles[bucket] ?? 0, plot.y(count));
    } else if (begins >= 0) {
      path.lineTo(middles[bucket - 1] ?? 0, plot.y(0));
      path.closePath();
      begins = -1;
    }
  }
  ctx.globalAlpha = 0.12;
  ctx.fillStyle = colour;
  ctx.fill(path);
  ctx.globalAlpha = 1;
}

/** Points where there is room for them, where a count stands alone, and hollow where not all is known. */
function paintPoints(
  ctx: Context,
  scene: Scene,
  middles: readonly number[],
  line: Line,
  plot: Plot,
  colour: string,
  card: string,
): void {
  const hasRoom = plot.width / Math.max(1, middles.length) >= 14 * plot.ratio;
  const [full, hollow] = [new Path2D(), new Path2D()];
  line.counts.forEach((count, bucket) => {
    if (count === null) return;
    const isAlone = (line.counts[bucket - 1] ?? null) === null && (line.counts[bucket + 1] ?? null) === null;
    const isPartial = scene.states[bucket] === "partial";
    if (!hasRoom && !isAlone && !isPartial) return;
    const path = isPartial || scene.states[bucket] === "open" ? hollow : full;
    const [x, y] = [middles[bucket] ?? 0, plot.y(count)];
    path.moveTo(x + 2.2 * plot.ratio, y);
    path.arc(x, y, 2.2 * plot.ratio, 0, 2 * Math.PI);
  });
  ctx.fillStyle = colour;
  ctx.fill(full);
  ctx.fillStyle = card;
  ctx.fill(hollow);
  outline(ctx, hollow, colour, 1.2 * plot.ratio);
}

/** The range before, as a thin line. */
function paintBefore(
  ctx: Context,
  scene: Scene,
  plot: Plot,
  counts: readonly (number | null)[],
  colour: string,
): void {
  if (counts.length === 0) return;
  const middles = scene.states.map(
    (_, bucket) => (plot.x(scene.edges[bucket] ?? 0) + plot.x(scene.edges[bucket + 1] ?? 0)) / 2,
  );
  const strength = ctx.globalAlpha;
  ctx.globalAlpha = strength * 0.6;
  outline(
    ctx,
    joined(middles, counts, plot, () => true),
    colour,
    1.1 * plot.ratio,
  );
  ctx.globalAlpha = strength;
}

/** A dotted line where what is in ends. */
function paintUntil(ctx: Context, scene: Scene, plot: Plot, colours: Palette): void {
  const until = scene.completeUntil;
  const [from, to] = [scene.edges[0], scene.edges.at(-1)];
  if (until === null || from === undefined || to === undefined || until <= from || until >= to) return;
  const x = Math.round(plot.x(until)) + 0.5;
  ctx.strokeStyle = colours.quiet;
  ctx.lineWidth = plot.ratio;
  ctx.setLineDash([plot.ratio, 3 * plot.ratio]);
  ctx.beginPath();
  ctx.moveTo(x, plot.top);
  ctx.lineTo(x, plot.top + plot.height);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** The words in gaps; turned where a gap is narrow, and left to the words below where it is narrower. */
function paintWords(ctx: Context, scene: Scene, plot: Plot, colours: Palette): void {
  const words = "not known";
  ctx.save();
  ctx.font = `${12 * plot.ratio}px system-ui, sans-serif`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * plot.ratio;
  ctx.strokeStyle = colours.card;
  ctx.fillStyle = colours.ink;
  const needed = ctx.measureText(words).width + 10 * plot.ratio;
  for (const [left, width] of spans(scene, plot, "unknown")) {
    const isNarrow = width < needed;
    if (isNarrow && (width < 18 * plot.ratio || plot.height < needed)) continue;
    ctx.save();
    ctx.translate(left + width / 2, plot.top + plot.height / 2);
    if (isNarrow) ctx.rotate(-Math.PI / 2);
    ctx.strokeText(words, 0, 0);
    ctx.fillText(words, 0, 0);
    ctx.restore();
  }
  ctx.restore();
}
