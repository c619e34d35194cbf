/** Reading a CSV file (RFC 4180), strictly: what does not follow it fails. */
import { readFile } from "node:fs/promises";
import type { Download } from "@playwright/test";

/** Rows of cells, the head first. */
export function parse(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    const quoted = /"((?:[^"]|"")*)"/y;
    const plain = /[^",\r\n]*/y;
    quoted.lastIndex = plain.lastIndex = at;
    const inQuotes = quoted.exec(text);
    row.push(inQuotes ? (inQuotes[1] ?? "").replaceAll('""', '"') : (plain.exec(text)?.[0] ?? ""));
    at = inQuotes ? quoted.lastIndex : plain.lastIndex;
    const after = /,|\r?\n|$/y;
    after.lastIndex = at;
    const end = after.exec(text)?.[0];
    if (end === undefined) throw new Error(`no CSV from character ${at}: ${text.slice(at, at + 40)}`);
    at += end.length;
    if (end !== ",") {
      rows.push(row);
      row = [];
    } else if (at === text.length) rows.push([...row, ""]);
  }
  const widths = new Set(rows.map(({ length }) => length));
  if (widths.size > 1) throw new Error(`rows of the CSV differ in their number of cells: ${[...widths]}`);
  return rows;
}

/** The rows of a file that was downloaded, as objects by the names in its head. */
export async function rowsOf(download: Download): Promise<Record<string, string>[]> {
  const text = (await readFile(await download.path(), "utf8")).replace(/^\uFEFF/, "");
  const [head = [], ...rows] = parse(text);
  return rows.map((row) => Object.fromEntries(head.map((name, at) => [name, row[at] ?? ""])));
}
