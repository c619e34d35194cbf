/** A dialog over the page. The browser keeps the focus inside, closes it with Escape, and gives the focus back. */
import { el } from "../dom";

export function openDialog(title: string, ...content: Node[]): HTMLDialogElement {
  const heading = el("h2", { id: "dialog-title" }, title);
  const close = el(
    "button",
    { type: "button", class: "quiet-button", attrs: { "aria-label": "Close" } },
    "✕",
  );
  const dialog = el(
    "dialog",
    { attrs: { "aria-labelledby": "dialog-title" } },
    el("div", { class: "dialog-head" }, heading, close),
    ...content,
  );
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
