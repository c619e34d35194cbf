/** How fresh what is shown is: a dot and a word in the header, and a sentence where something is wrong. */
import type { Standing } from "../api/follow";
import { el, say } from "../dom";

export class Freshness {
  private readonly dot = el("span", { class: "dot", attrs: { "aria-hidden": "true" } });
  private readonly word = el("span");
  readonly badge = el("span", { class: "freshness", hidden: true }, this.dot, this.word);
  /** Stays in the page, so that what is put in is read out. */
  readonly notice = el("p", { class: "notice", hidden: true, attrs: { role: "status" } });

  show(standing: Standing | null): void {
    const state = standing?.state ?? "none";
    this.badge.hidden = standing === null;
    this.badge.dataset.state = state;
    say(
      this.word,
      { none: "", asking: "asking…", live: "live", away: "not live", refused: "no answer" }[state],
    );
    const sentence = noticeOf(standing);
    this.notice.hidden = sentence === "";
    say(this.notice, sentence);
  }
}

function noticeOf(standing: Standing | null): string {
  if (standing?.state === "away") {
    const since = new Date(standing.since).toLocaleTimeString();
    return `${standing.problem.message} What you see is as it was at ${since} by your clock; it goes on by itself as soon as there is an answer.`;
  }
  return standing?.state === "refused" ? standing.problem.message : "";
}
