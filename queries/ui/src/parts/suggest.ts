/** Names to filter by: those of the registry, and those that were counted. */
import { ask } from "../api/client";
import { DIMENSIONS, type Dimension, type FlagPage, type Session, type Usage } from "../api/types";

/** More are found by typing on. */
const NAMES_MAX = 100;

/** The names of a dimension, within what is filtered already. Where the server does not say, there are none. */
export async function names(
  dimension: Dimension,
  typed: string,
  params: URLSearchParams,
  session: Session | null,
  signal: AbortSignal,
): Promise<string[]> {
  if (dimension === "customer" || dimension === "project" || dimension === "environment")
    return registered(dimension, params, session);
  try {
    const isFlag = dimension === "flag" && params.get("meter") !== "requests";
    return isFlag ? await flags(typed, params, signal) : await counted(dimension, params, signal);
  } catch {
    return [];
  }
}

/** What the registry knows of it. */
export function registered(
  dimension: "customer" | "project" | "environment",
  params: URLSearchParams,
  session: Session | null,
): string[] {
  const isTaken = (part: Dimension, value: string): boolean => {
    const values = params.getAll(part);
    return values.length === 0 || values.includes(value);
  };
  const customers = (session?.customers ?? []).filter(
    ({ id }) => dimension === "customer" || isTaken("customer", id),
  );
  if (dimension === "customer") return customers.map(({ id }) => id);
  const projects = customers
    .flatMap((one) => one.projects)
    .filter(({ id }) => dimension === "project" || isTaken("project", id));
  if (dimension === "project") return [...new Set(projects.map(({ id }) => id))];
  return [...new Set(projects.flatMap((one) => one.environments))];
}

/** Flags whose names have what was typed in them, those of projects that have never evaluated them as well. */
async function flags(typed: string, params: URLSearchParams, signal: AbortSignal): Promise<string[]> {
  const asked = filters(params, ["customer", "project", "environment"]);
  asked.set("limit", String(NAMES_MAX));
  if (typed) asked.set("q", typed);
  const page = await ask<FlagPage>("/v1/flags", asked, signal);
  return [...new Set(page.flags.map(({ flag }) => flag))];
}

/** The names that were counted most in the last month. */
async function counted(
  dimension: Dimension,
  params: URLSearchParams,
  signal: AbortSignal,
): Promise<string[]> {
  const asked = filters(
    params,
    DIMENSIONS.filter((one) => one !== dimension),
  );
  const question = { from: "-30d", resolution: "1mo", group_by: dimension, limit: String(NAMES_MAX) };
  for (const [name, value] of Object.entries(question)) asked.set(name, value);
  const meter = params.get("meter");
  if (meter) asked.set("meter", meter);
  const usage = await ask<Usage>("/v1/usage", asked, signal);
  const found = usage.rows.map((row) => row[dimension] ?? "").filter((name) => name && name !== "__other__");
  return [...new Set(found)];
}

function filters(params: URLSearchParams, of: readonly Dimension[]): URLSearchParams {
  const asked = new URLSearchParams();
  for (const dimension of of) for (const value of params.getAll(dimension)) asked.append(dimension, value);
  return asked;
}
