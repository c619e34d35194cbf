/** The way of a count: a box for each stage, and how it goes there by colour, shape and word. */
import { el, fill, say, svg } from "../../dom";
import { type Pipeline, type Stage, type StageState, shown, verdict } from "./figures";

/** Shapes that differ as much as the colours do. */
const SHAPES: Record<StageState, string> = {
  ok: "M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1z",
  late: "M8 1.2 15.4 14.6H.6z",
  stuck: "M1.5 1.5h13v13h-13z",
  unknown: "M8 .6 15.4 8 8 15.4.6 8z",
};
const MARKS: Record<StageState, string> = {
  ok: "M4.6 8.3 7 10.7l4.4-5",
  late: "M8 5.6v4.2M8 12v.1",
  stuck: "M5 5l6 6M11 5l-6 6",
  unknown: "M8 8h.1",
};

/** The sign of a state, beside which its word stands. */
export function sign(state: StageState): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 16 16", width: 16, height: 16, class: "sign", "aria-hidden": "true" },
    svg("path", { d: SHAPES[state], class: "shape" }),
    svg("path", { d: MARKS[state], class: "mark-in" }),
  );
}

/** The arrow that leads to a stage. */
function arrow(): SVGSVGElement {
  return svg(
    "svg",
    { viewBox: "0 0 32 12", width: 32, height: 12, class: "link", "aria-hidden": "true" },
    svg("path", { d: "M0 6h26", class: "way" }),
    svg("path", { d: "M24 1.5 31 6l-7 4.5z", class: "tip" }),
  );
}

class Box {
  private state: StageState | null = null;
  private readonly sign = el("span", { class: "sign-at" });
  private readonly word = el("span");
  private readonly title = el("h3");
  private readonly main = el("p", { class: "main" });
  private readonly mainLabel = el("p", { class: "quiet" });
  private readonly rest = el("dl");
  private readonly link = arrow();
  readonly node = el(
    "li",
    { class: "stage" },
    this.link,
    el(
      "div",
      { class: "stage-head" },
      this.title,
      el("span", { class: "stage-state" }, this.sign, this.word),
    ),
    el("div", { class: "stage-main" }, this.main, this.mainLabel),
    this.rest,
  );

  show(stage: Stage, isFlowing: boolean): void {
    if (this.state !== stage.state) {
      this.state = stage.state;
      this.node.dataset.state = stage.state;
      fill(this.sign, sign(stage.state));
    }
    this.node.dataset.id = stage.id;
    this.link.classList.toggle("flows", isFlowing && stage.state === "ok");
    say(this.title, stage.title);
    say(this.word, stage.state === "unknown" ? "not known" : stage.state);
    const [main, ...rest] = shown(stage.figures);
    say(this.main, main?.value ?? "not known");
    say(this.mainLabel, main?.label ?? "");
    // Rows stay as they are, and only what they say changes.
    while (this.rest.children.length > rest.length) this.rest.lastElementChild?.remove();
    while (this.rest.children.length < rest.length) this.rest.append(el("div", {}, el("dt"), el("dd")));
    rest.forEach(({ label, value }, at) => {
      const [term, says] = this.rest.children[at]?.children ?? [];
      if (term) say(term, label);
      if (says) say(says, value);
    });
  }
}

/** The picture, and below it a sentence of each stage that is not as it should be. */
export class Picture {
  private readonly verdict = el("p", { class: "verdict" }, "…");
  private readonly stages = el("ol", { class: "stages" });
  private readonly troubles = el("ul", { class: "troubles" });
  private readonly boxes = new Map<string, Box>();
  readonly node = el(
    "section",
    { class: "card", attrs: { "aria-label": "The way of a count" } },
    el("div", { class: "view-head" }, el("h2", {}, "The way of a count"), this.verdict),
    this.stages,
    this.troubles,
  );

  show(pipeline: Pipeline): void {
    const received = pipeline.stages
      .flatMap(({ figures }) => figures)
      .find(({ name }) => name === "received_per_second");
    const isFlowing = typeof received?.value === "number" && received.value > 0;
    say(this.verdict, verdict(pipeline));
    for (const stage of pipeline.stages) {
      let box = this.boxes.get(stage.id);
      if (!box) {
        box = new Box();
        this.boxes.set(stage.id, box);
        this.stages.append(box.node);
      }
      box.show(stage, isFlowing);
    }
    const wrong = pipeline.stages.filter(({ says }) => says !== null);
    const words = wrong.map(({ title, says }) => `${title}: ${says}`);
    if (this.troubles.dataset.words === words.join("\n")) return;
    this.troubles.dataset.words = words.join("\n");
    fill(
      this.troubles,
      ...wrong.map(({ title, state, says }) => {
        const node = el("li", {}, sign(state), el("span", {}, el("strong", {}, title), ` ${says ?? ""}`));
        node.dataset.state = state;
        return node;
      }),
    );
  }
}
