/** One chart in somebody else's page: what its link says, live, and nothing to click on. */
import "./styles/page.css";
import "./styles/embed.css";
import { follow, type Standing } from "./api/follow";
import { followMarks } from "./api/marks";
import { Figure } from "./charts/figure";
import { MarksList } from "./charts/marks-list";
import { type Colours, coloursIn, type Scene, sceneOf } from "./charts/scene";
import { bucketWords, comparison, completeness, range, silence, total } from "./charts/words";
import { eachFrame, el, fill, say } from "./dom";
import { Freshness } from "./shell/freshness";

const place = new URLSearchParams(location.search);
const root = document.getElementById("page");
if (root) begin(root);

function begin(root: HTMLElement): void {
  const theme = place.get("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  const freshness = new Freshness();
  const asked = place.get("title") ?? "";
  // Who listens finds a heading where none is to be seen as well.
  const title = el("h1", { class: asked ? "" : "spoken" }, asked || "Usage");
  if (asked) document.title = asked;
  const sum = el("p", { class: "total" });
  const about = el("p", { class: "quiet about" });
  const silent = el("p", { class: "notice", hidden: true, attrs: { role: "status" } });
  const figure = new Figure({});
  // There is no room for a list: who does not see the chart is told it all the same.
  const marks = new MarksList(() => null);
  marks.node.className = "spoken";
  fill(
    root,
    el("div", { class: "embed-head" }, el("div", {}, title, sum, about), freshness.badge),
    freshness.notice,
    silent,
    figure.node,
    marks.node,
  );
  let colours: Colours = new Map();
  let scene: Scene | null = null;
  const draw = eachFrame(() => {
    if (!scene) return;
    const { before, figure: count, after } = total(scene);
    const compared = comparison(scene);
    fill(
      sum,
      before && `${before} `,
      el("strong", {}, count),
      ` ${after}`,
      compared?.change && ` ${compared.change}`,
    );
    const { resolution, from, to, tz } = scene.usage;
    const parts = [
      range(resolution, from, to),
      tz,
      `by ${bucketWords(resolution)}`,
      completeness(scene.usage),
    ];
    say(about, [...parts, compared?.words ?? ""].filter(Boolean).join(" · "));
    const words = silence(scene.usage);
    silent.hidden = words === "";
    say(silent, words);
    const style = place.get("style");
    figure.show(scene, { isStacked: style ? style === "stacked" : scene.isGrouped });
  });
  const link = new URLSearchParams({ link: place.get("link") ?? "" });
  let stopMarks: (() => void) | null = null;
  const tellMarks = (): (() => void) =>
    followMarks(
      "/embed/bursts",
      () => link,
      (told) => {
        figure.mark(told.bursts, true);
        marks.show(told, true);
      },
    );
  follow(
    { params: link, live: "/embed/live", once: null },
    {
      answer: (usage) => {
        scene = sceneOf(usage, Date.now(), colours);
        colours = coloursIn(scene);
        draw();
        stopMarks ??= tellMarks();
      },
      standing: (standing) => {
        document.body.dataset.state = standing.state;
        freshness.show(standing);
        if (standing.state !== "refused") return;
        stopMarks?.();
        fill(root, over(standing));
      },
    },
  );
}

/** A link that holds no longer, or never did. */
function over({ problem }: Extract<Standing, { state: "refused" }>): HTMLElement {
  // Who looks at it has no token, and no use for what the API says of tokens.
  const why =
    problem.status === 401 ? "Its link has ended. Whoever shared it can make another." : problem.message;
  return el(
    "div",
    { class: "embed-over", attrs: { role: "alert" } },
    el("h1", {}, "This chart is no longer shared"),
    el("p", { class: "quiet" }, why),
  );
}
