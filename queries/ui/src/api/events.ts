/** Server-Sent Events out of bytes, as far as `/v1/live` speaks them. Pure but for what it remembers of an event. */

export interface ServerEvent {
  /** Its name; empty for a comment, which only says that the stream is there. */
  name: string;
  id: string | null;
  data: string;
}

/** Reads pieces of text as they come, and gives the events that are whole. */
export class EventReader {
  private rest = "";
  /** What the server asks to wait before coming back, in milliseconds. */
  retryMs: number | null = null;

  read(piece: string): ServerEvent[] {
    this.rest += piece;
    const blocks = this.rest.split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.map((block) => this.parse(block)).filter((event) => event !== null);
  }

  private parse(block: string): ServerEvent | null {
    const lines = block.split("\n");
    const fields = lines.map((line) => /^([^:]+): ?(.*)$/.exec(line) ?? []);
    const all = (name: string): string[] =>
      fields.filter(([, field]) => field === name).map(([, , value]) => value ?? "");
    const event = {
      name: all("event").at(-1) ?? "",
      id: all("id").at(-1) ?? null,
      data: all("data").join("\n"),
    };
    this.retryMs = Number(all("retry").at(-1)) || this.retryMs;
    return event.name || lines.some((line) => line.startsWith(":")) ? event : null;
  }
}
