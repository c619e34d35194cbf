import { afterEach, expect, it, vi } from "vitest";
import type { Session } from "../src/api/types";
import { names, registered } from "../src/parts/suggest";

const session = {
  customers: [
    { id: "acme", projects: [{ id: "shop", environments: ["production", "staging"] }] },
    { id: "globex", projects: [{ id: "web", environments: ["production"] }] },
  ],
} as unknown as Session;
const signal = new AbortController().signal;

afterEach(() => vi.unstubAllGlobals());

function answering(body: unknown): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (address: string) => {
    asked.push(decodeURIComponent(address));
    return Response.json(body);
  });
  return asked;
}

it("suggests what the registry has, within the filters that are set", () => {
  const acme = new URLSearchParams("customer=acme");
  expect(registered("customer", acme, session)).toEqual(["acme", "globex"]);
  expect(registered("project", acme, session)).toEqual(["shop"]);
  expect(registered("environment", new URLSearchParams(), session)).toEqual(["production", "staging"]);
  expect(registered("project", acme, null)).toEqual([]);
});

it("finds flags by what was typed, also among very many", async () => {
  const asked = answering({ flags: [{ flag: "checkout-v2" }, { flag: "checkout" }, { flag: "checkout" }] });
  const found = await names("flag", "check", new URLSearchParams("customer=acme&sdk=x"), session, signal);
  expect(found).toEqual(["checkout-v2", "checkout"]);
  expect(asked).toEqual(["/v1/flags?customer=acme&limit=100&q=check"]);
});

it("suggests variants and resources that were counted, the rest aside", async () => {
  const asked = answering({ rows: [{ variant: "on" }, { variant: null }, { variant: "__other__" }] });
  expect(await names("variant", "", new URLSearchParams("flag=a&variant=b"), session, signal)).toEqual([
    "on",
  ]);
  expect(asked).toEqual(["/v1/usage?flag=a&from=-30d&resolution=1mo&group_by=variant&limit=100"]);
  await names("flag", "", new URLSearchParams("meter=requests"), session, signal);
  expect(asked[1]).toMatch(/^\/v1\/usage\?.*group_by=flag.*meter=requests$/);
});

it("suggests nothing where the server does not answer", async () => {
  vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("network")));
  expect(await names("flag", "", new URLSearchParams(), session, signal)).toEqual([]);
});
