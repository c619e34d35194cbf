/** Which view is at which address, and who sees it. */
import type { Role } from "../api/types";
import * as billing from "../views/billing/billing";
import * as flag from "../views/flag/flag";
import * as flags from "../views/flags/flags";
import * as operators from "../views/operators/operators";
import * as usage from "../views/usage/usage";
import type { Open } from "./app";

export interface Route {
  /** Its name in the navigation; none for pages that are reached from another. */
  name: string | null;
  path: string;
  /** The key that leads there, after g. */
  key: string | null;
  roles: readonly Role[];
  matches(path: string): boolean;
  open: Open;
}

const ALL: readonly Role[] = ["customer", "billing", "operator"];

export const ROUTES: readonly Route[] = [
  {
    name: "Usage",
    path: "/usage",
    key: "u",
    roles: ALL,
    matches: (path) => path === "/" || path === "/usage",
    open: usage.open,
  },
  {
    name: "Flags",
    path: "/flags",
    key: "f",
    roles: ALL,
    matches: (path) => path === "/flags",
    open: flags.open,
  },
  {
    name: null,
    path: "/flags",
    key: null,
    roles: ALL,
    matches: (path) => path.startsWith("/flags/"),
    open: flag.open,
  },
  {
    name: "Billing",
    path: "/billing",
    key: "b",
    roles: ALL,
    matches: (path) => path === "/billing",
    open: billing.open,
  },
  {
    name: "Operators",
    path: "/operators",
    key: "o",
    roles: ["operator"],
    matches: (path) => path === "/operators",
    open: operators.open,
  },
];

export function routeOf(path: string): Route | null {
  return ROUTES.find((route) => route.matches(path)) ?? null;
}
