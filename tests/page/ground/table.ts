/** Reading what is on the screen. */
import type { Locator } from "@playwright/test";

/** The rows of a table as they are shown, by the words in its head. */
export async function tableOf(table: Locator): Promise<Record<string, string>[]> {
  return table.evaluate((node) => {
    const shown = (cell: Element): string => (cell.textContent ?? "").replace(/\s+/g, " ").trim();
    const { tHead, tBodies } = node as HTMLTableElement;
    const head = [...(tHead?.rows[0]?.cells ?? [])].map((cell) => shown(cell).replace(/\s*[↑↓▲▼]$/, ""));
    return [...tBodies]
      .flatMap((body) => [...body.rows])
      .filter((row) => row.getAttribute("aria-hidden") !== "true")
      .map((row) =>
        Object.fromEntries([...row.cells].map((cell, at) => [head[at] ?? String(at), shown(cell)])),
      );
  });
}

/** A number as it is shown; null where it is said to be not known. */
export function number(text: string | undefined): number | null {
  if (text === undefined) throw new Error("there is no such cell");
  if (/^(not known|–|)$/.test(text)) return null;
  const digits = text.replaceAll(",", "");
  if (!/^-?\d+(\.\d+)?$/.test(digits)) throw new Error(`"${text}" is no number`);
  return Number(digits);
}
