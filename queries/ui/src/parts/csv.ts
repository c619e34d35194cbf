/** What is on the screen, as a file for spreadsheets. The text is made by pure functions. */
import { el } from "../dom";

/** A cell: what is not known is empty, never zero. */
export type Cell = string | number | boolean | null;

/** RFC 4180. */
export function csv(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [head, ...rows].map((row) => `${row.map(field).join(",")}\r\n`).join("");
}

function field(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell !== "string") return String(cell);
  // No spreadsheet shall take a name for a formula. The API does the same.
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Without this at its beginning, spreadsheets take UTF-8 for something else. */
const MARK = "\uFEFF";

/** Hands a text out as a file; one whose very bytes count goes without the mark. */
export function save(text: string, fileName: string, type = "text/csv", isMarked = true): void {
  const address = URL.createObjectURL(
    new Blob([isMarked ? MARK : "", text], { type: `${type};charset=utf-8` }),
  );
  const link = el("a", { href: address, download: fileName });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
