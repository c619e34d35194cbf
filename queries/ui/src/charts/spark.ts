/** A line as small as a word. Where nothing is known there is no line, and never a zero. */
import "../styles/spark.css";
import { svg } from "../dom";

const WIDTH = 120;
const HEIGHT = 28;

/** A sparkline; `says` tells it to those who do not see it. The last `open` values are still filling: they are dashed. */
export function spark(values: readonly (number | null)[], says: string, open = 0): SVGSVGElement {
  const picture = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    width: WIDTH,
    height: HEIGHT,
    class: "spark",
    role: "img",
    "aria-label": says,
  });
  const settled = values.length - open;
  const isIn = (part: (at: number) => boolean): (number | null)[] =>
    values.map((value, at) => (part(at) ? value : null));
  const top = topOf(values);
  picture.append(svg("path", { d: path(open > 0 ? isIn((at) => at < settled) : values, top) }));
  if (open > 0)
    picture.append(
      svg("path", {
        d: path(
          isIn((at) => at >= settled - 1),
          top,
        ),
        class: "open",
      }),
    );
  return picture;
}

/** The line of these values, from the left to the right edge. Pure. */
export function path(values: readonly (number | null)[], top = topOf(values)): string {
  const step = values.length > 1 ? (WIDTH - 4) / (values.length - 1) : 0;
  let pen = "M";
  let line = "";
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    const x = (2 + at * step).toFixed(1);
    const y = (HEIGHT - 3 - (value / top) * (HEIGHT - 6)).toFixed(1);
    // A value alone between two gaps is a dot.
    const isAlone = pen === "M" && (values[at + 1] ?? null) === null;
    line += isAlone ? `M${x} ${y}h0.01` : `${pen}${x} ${y}`;
    pen = "L";
  });
  return line;
}

function topOf(values: readonly (number | null)[]): number {
  return Math.max(1, ...values.map((value) => value ?? 0));
}
