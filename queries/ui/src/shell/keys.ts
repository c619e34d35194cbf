/** Keys: one listener for all of the page. */
import type { Key } from "./app";

/** Listens for keys that lead somewhere; `g` and a letter go to a view. */
export function listenForKeys(keys: () => readonly Key[], places: () => readonly Key[]): void {
  let goes = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyped(event) || openDialog()) return;
    const list = goes ? places() : keys();
    const isGo = !goes && event.key === "g";
    const key = list.find((one) => one.key === event.key);
    goes = isGo;
    if (!key) return;
    event.preventDefault();
    key.press();
  });
}

function isTyped(event: KeyboardEvent): boolean {
  const target = event.target;
  const typed = "input:not([type=radio], [type=checkbox]), select, textarea, [contenteditable]";
  return target instanceof HTMLElement && target.matches(typed);
}

function openDialog(): boolean {
  return document.querySelector("dialog[open]") !== null;
}
