/** What keys there are, and what the words mean. */
import { el } from "../dom";
import type { Key } from "./app";
import { openDialog } from "./dialog";

const WORDS: readonly [string, string][] = [
  [
    "complete",
    "All is in: the count is final, but for late counts, which land in the window where they belong.",
  ],
  ["open", "Still filling."],
  ["partial", "What is counted is known, but not whether it is all: an edge node is silent."],
  ["not known", "Nothing is known of that time. It is never drawn as zero."],
  ["all others", "What is beyond the top, added up, so that totals stay exact."],
];

export function openHelp(keys: readonly Key[], places: readonly Key[]): void {
  const row = (key: string, does: string): HTMLElement =>
    el("div", {}, el("dt", {}, ...key.split(" ").map((one) => el("kbd", {}, one))), el("dd", {}, does));
  openDialog(
    "Keys and words",
    el("h3", {}, "Keys"),
    el(
      "dl",
      { class: "keys" },
      ...keys.map(({ key, does }) => row(shown(key), does)),
      ...places.map(({ key, does }) => row(`g ${key}`, does)),
      row("Esc", "Close what is open"),
    ),
    el("h3", {}, "Words"),
    el(
      "dl",
      { class: "words" },
      ...WORDS.map(([word, means]) => el("div", {}, el("dt", {}, word), el("dd", {}, means))),
    ),
  );
}

function shown(key: string): string {
  return { ArrowLeft: "←", ArrowRight: "→", " ": "Space" }[key] ?? key;
}
