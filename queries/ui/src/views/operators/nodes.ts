/** The edge nodes, and how far each has got. */
import { el, fill, name } from "../../dom";
import { wall } from "../../time/clock";
import { duration, type StageState } from "./figures";
import { heading, Panel, scrolled } from "./panel";
import { sign } from "./picture";

export interface Nodes {
  complete_until: string | null;
  nodes: {
    node: number;
    region: string | null;
    watermark: string;
    heard_at: string;
    state: "live" | "missing" | "stopped";
  }[];
}

const STATES: Record<Nodes["nodes"][number]["state"], { as: StageState; means: string }> = {
  live: { as: "ok", means: "It is heard" },
  missing: {
    as: "stuck",
    means: "Silent without a good-bye: what it received since its watermark is not known",
  },
  stopped: { as: "unknown", means: "Stopped in good order: nothing is missing without it" },
};

export class NodesPanel {
  readonly panel = new Panel("Edge nodes");
  private readonly rows = el("tbody");

  constructor() {
    const heads = el(
      "tr",
      {},
      heading("Node", "text"),
      heading("Region", "text"),
      heading("State", "text"),
      heading("Watermark", "text"),
      heading("Behind"),
    );
    fill(this.panel.body, scrolled("Edge nodes", el("thead", {}, heads), this.rows));
  }

  /** `now` is that of the server: clocks of browsers differ. */
  show({ nodes }: Nodes, now: number): void {
    fill(
      this.rows,
      ...nodes.map(({ node, region, watermark, state }) => {
        const { as, means } = STATES[state];
        const cell = el("td", { class: "text with-sign", title: means }, sign(as), ` ${state}`);
        cell.dataset.state = as;
        const behind =
          state === "stopped" ? "–" : duration(Math.max(0, (now - Date.parse(watermark)) / 1000));
        return el(
          "tr",
          {},
          el("th", { class: "text", attrs: { scope: "row" } }, String(node)),
          el(
            "td",
            { class: "text" },
            region === null ? el("span", { class: "quiet" }, "not said") : name(region),
          ),
          cell,
          el("td", { class: "text" }, wall(watermark)),
          el("td", {}, behind),
        );
      }),
    );
    if (nodes.length === 0) {
      fill(this.rows, el("tr", {}, el("td", { class: "text", colSpan: 5 }, "No node was ever heard.")));
    }
  }
}
