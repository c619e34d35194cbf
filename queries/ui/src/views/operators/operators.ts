/** All customers and the pipeline itself, for operators. */
import "../../styles/operators.css";
import type { Place } from "../../address";
import { ask } from "../../api/client";
import type { Standing } from "../../api/follow";
import { repeat } from "../../api/repeat";
import { el, fill } from "../../dom";
import { InTurn } from "../../parts/in-turn";
import type { App, View } from "../../shell/app";
import { type Bursts, BurstsPanel } from "./bursts";
import { FatesPanel, type Reconcile } from "./fates";
import { type Pipeline, type Stage, turns } from "./figures";
import { type Mute, type Mutes, MutesPanel, standing } from "./mutes";
import { type Nodes, NodesPanel } from "./nodes";
import type { Panel } from "./panel";
import { Picture } from "./picture";
import { TopPanel, WINDOWS } from "./top";
import { askedBy, type Sort, sortOf, type Top } from "./top-order";

export function open(app: App): View {
  return new Operators(app);
}

const PIPELINE_MS = 3_000;
const TABLES_MS = 10_000;
const CUSTOMERS = "20";
/** As many as may stand. */
const STANDING = "1000";
const GOING_ON = new URLSearchParams({ active: "true", limit: "100" });

/** Those in force and to come alone: those that are over are more with each day. */
async function askMutes(signal: AbortSignal): Promise<Mute[]> {
  const of = async (state: string): Promise<Mute[]> => {
    const params = new URLSearchParams({ state, limit: STANDING });
    return (await ask<Mutes>("/v1/operator/mutes", params, signal)).mutes;
  };
  const planned = await of("planned");
  return standing(await of("active"), planned);
}

class Operators implements View {
  readonly title = "Operators";
  readonly keys = [];
  private asked: string | null = null;
  private askedTop = "";
  private ends: (() => void)[] = [];
  private endTop: (() => void) | null = null;
  private stages: readonly Stage[] = [];
  /** How far the clock of the server is ahead of this one. */
  private aheadMs = 0;
  private sort: Sort = sortOf(null);
  private readonly picture = new Picture();
  private readonly bursts = new BurstsPanel();
  private readonly mutes = new MutesPanel();
  private readonly top = new TopPanel();
  private readonly nodes = new NodesPanel();
  private readonly fates = new FatesPanel();
  private readonly body = el(
    "div",
    { class: "cards" },
    this.picture.node,
    this.bursts.panel.node,
    this.mutes.panel.node,
    this.top.panel.node,
    this.nodes.panel.node,
    this.fates.panel.node,
  );
  private readonly turn = new InTurn([...this.body.children]);
  private readonly none = el("div", { class: "card empty", hidden: true });
  readonly node = el(
    "section",
    { class: "operators-view" },
    el("div", { class: "view-head" }, el("h1", {}, "Operators")),
    this.body,
    this.none,
  );

  constructor(private readonly app: App) {}

  show({ params }: Place): void {
    const role = this.app.session()?.role ?? "operator";
    if (role !== "operator") {
      this.refuse(
        "This is for operators",
        "The token that you are signed in with sees usage, flags and bills, but not the pipeline.",
      );
      return;
    }
    const zone = this.app.zone(params);
    const common = new URLSearchParams(zone ? { tz: zone } : {});
    if (this.asked !== common.toString()) this.begin(common);
    const window = WINDOWS.find((one) => one === params.get("window")) ?? "5m";
    this.sort = sortOf(params.get("sort"));
    this.top.choose(window, this.sort);
    const top = new URLSearchParams({
      ...Object.fromEntries(common),
      by: askedBy(this.sort),
      window,
      limit: CUSTOMERS,
    });
    if (this.askedTop !== top.toString()) this.beginTop(top);
  }

  close(): void {
    for (const end of this.ends.splice(0)) end();
    this.endTop?.();
  }

  private refuse(title: string, why: string): void {
    this.close();
    this.asked = null;
    this.askedTop = "";
    this.body.hidden = true;
    this.none.hidden = false;
    fill(this.none, el("h2", {}, title), el("p", {}, why), el("a", { href: "/usage" }, "To the usage"));
  }

  private begin(common: URLSearchParams): void {
    this.close();
    this.asked = common.toString();
    this.askedTop = "";
    this.body.hidden = false;
    this.none.hidden = true;
    this.ends.push(
      repeat((signal) => ask<Pipeline>("/v1/operator/pipeline", common, signal), PIPELINE_MS, {
        answer: (pipeline) => this.take(pipeline),
        standing: (standing) => {
          this.app.standing(standing);
          if (standing.state !== "asking") this.turn.known(this.picture.node);
          if (standing.state !== "refused") return;
          if (standing.problem.status === 403) this.refuse("This is for operators", standing.problem.message);
        },
      }),
      repeat((signal) => ask<Bursts>("/v1/operator/bursts", GOING_ON, signal), TABLES_MS, {
        answer: (bursts) => this.bursts.show(bursts, Date.now() + this.aheadMs),
        standing: (standing) => this.stand(this.bursts.panel, standing),
      }),
      repeat(askMutes, TABLES_MS, {
        answer: (mutes) => {
          this.mutes.show(mutes);
          this.bursts.know(mutes);
        },
        standing: (standing) => this.stand(this.mutes.panel, standing),
      }),
      repeat((signal) => ask<Nodes>("/v1/operator/nodes", common, signal), PIPELINE_MS, {
        answer: (nodes) => this.nodes.show(nodes, Date.now() + this.aheadMs),
        standing: (standing) => this.stand(this.nodes.panel, standing),
      }),
      repeat((signal) => ask<Reconcile>("/v1/reconcile", common, signal), TABLES_MS, {
        answer: (fates) => this.fates.show(fates),
        standing: (standing) => this.stand(this.fates.panel, standing),
      }),
    );
  }

  private beginTop(params: URLSearchParams): void {
    this.endTop?.();
    this.askedTop = params.toString();
    this.endTop = repeat((signal) => ask<Top>("/v1/operator/top", params, signal), TABLES_MS, {
      answer: (top) => this.top.show(top, this.sort),
      standing: (standing) => this.stand(this.top.panel, standing),
    });
  }

  private stand(panel: Panel, standing: Standing): void {
    panel.standing(standing);
    if (standing.state !== "asking") this.turn.known(panel.node);
  }

  private take(pipeline: Pipeline): void {
    this.aheadMs = Date.parse(pipeline.at) - Date.now();
    const news = turns(this.stages, pipeline.stages);
    this.stages = pipeline.stages;
    this.picture.show(pipeline);
    this.turn.known(this.picture.node);
    if (news.length > 0) this.app.announce(news.join(" "));
  }
}
