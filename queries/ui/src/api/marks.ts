/**
 * The bursts and drops of what a chart shows, asked for again and again: a stream has counts alone.
 *
 * What is not known is told as such: a server that does not answer is not one without bursts. One that keeps no ledger has
 * none to tell of.
 */
import { ask, type Problem } from "./client";
import { repeat } from "./repeat";

/** A burst or a drop, as the API tells it. A link tells no names and no counts. */
export interface Mark {
  kind: "burst" | "drop";
  since: string;
  /** Null while it goes on. */
  until: string | null;
  /** Its highest minute in times of what was expected; of a drop, the lowest. */
  ratio: number;
  customer?: string;
  /** Null for all of them, and so are those below. */
  project?: string | null;
  environment?: string | null;
  flag?: string | null;
  learning?: boolean;
  muted?: boolean;
  /** Where it is to be seen. */
  chart?: string;
}

export interface Marks {
  bursts: Mark[];
  /** There are more, which began before these. */
  more: boolean;
  /** The newest answer is missing: there may be others. */
  areUnknown: boolean;
}

export const NO_MARKS: Marks = { bursts: [], more: false, areUnknown: false };

/** About so often: those who look at the same moment, as after a restart of the server, are to ask at many. */
const EVERY_MS = 15_000;
const everyMs = (): number => Math.round(EVERY_MS * (0.8 + 0.4 * Math.random()));
/** As many as a picture has. */
const LIMIT = "50";

/** What is asked for the chart of a question, from one instant to another; null where nothing can be of it. Pure. */
export function marksOf(question: URLSearchParams, from: number, to: number): URLSearchParams | null {
  // Nothing is alerted of these.
  if (question.has("variant") || question.has("sdk")) return null;
  const instant = (at: number): string => new Date(at).toISOString().replace(/\.000Z$/, "Z");
  const asked = new URLSearchParams({ from: instant(from), to: instant(to), limit: LIMIT });
  asked.set("meter", question.get("meter") ?? "evaluations");
  for (const name of ["tz", "customer", "project", "environment", "flag"])
    for (const value of question.getAll(name)) asked.append(name, value);
  return asked;
}

/** Asks until the function that comes back is called; `params` says what for, each time. */
export function followMarks(
  path: string,
  params: () => URLSearchParams | null,
  told: (marks: Marks) => void,
): () => void {
  let have = NO_MARKS;
  const tell = (marks: Marks): void => {
    have = marks;
    told(marks);
  };
  const question = async (signal: AbortSignal): Promise<Marks> => {
    const asked = params();
    if (!asked) return NO_MARKS;
    return { ...(await ask<Marks>(path, asked, signal)), areUnknown: false };
  };
  const asked = {
    answer: tell,
    standing: (standing: { state: string; problem?: Problem }) => {
      if (standing.state === "away" || (standing.state === "refused" && standing.problem?.status !== 404))
        tell({ ...have, areUnknown: true });
    },
  };
  return repeat(question, everyMs(), asked, "beside a stream");
}
