/** The real SDK of Flagsmith for Node.js, as `tests/sdks` runs it: what it counts goes to a demo. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Demo } from "./demo";

const CLIENT = fileURLToPath(new URL("../../sdks/client.mjs", import.meta.url));
const API = "/api/v1/";

/**
 * Evaluates a flag so many times and flushes; gives the time at which flagmeter's acknowledgement of it came back,
 * as `Date.now()` has it.
 */
export async function evaluate(demo: Demo, key: string, flag: string, times: number): Promise<number> {
  let acknowledgedAt = 0;
  const stub = createServer((request, response) => {
    answer(demo, key, flag, request, response).then(
      (status) => {
        if (status === 200) acknowledgedAt = Date.now();
      },
      (error: unknown) => response.destroy(error instanceof Error ? error : undefined),
    );
  });
  stub.listen(0, "127.0.0.1");
  await once(stub, "listening");
  try {
    const api = `http://127.0.0.1:${(stub.address() as AddressInfo).port}${API}`;
    await client({ api_url: api, key, steps: [[{ [flag]: times }, "flush"]] });
  } finally {
    stub.closeAllConnections();
    stub.close();
  }
  if (!acknowledgedAt) throw new Error("flagmeter did not acknowledge what the SDK sent");
  return acknowledgedAt;
}

async function client(plan: object): Promise<void> {
  const process = spawn("node", [CLIENT], { stdio: ["pipe", "ignore", "pipe"] });
  let said = "";
  process.stderr.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  const ended = once(process, "exit");
  process.stdin.end(JSON.stringify(plan));
  const [status] = await ended;
  if (status !== 0) throw new Error(`the SDK ended with status ${status}:\n${said}`);
}

/** Serves the environment document, and passes analytics on; gives the status of the latter. */
async function answer(
  demo: Demo,
  key: string,
  flag: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<number | null> {
  if (request.method === "GET" && request.url === `${API}environment-document/`) {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(environment(key, flag)));
    return null;
  }
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  const headers = Object.fromEntries(
    Object.entries(request.headers).filter(
      ([name]) => !/^(host|connection|content-length|transfer-encoding)$/.test(name),
    ),
  ) as Record<string, string>;
  const passed = await fetch(`${demo.url}${request.url}`, {
    method: request.method ?? "POST",
    headers,
    body: Buffer.concat(pieces),
  });
  const body = Buffer.from(await passed.arrayBuffer());
  response.writeHead(passed.status, { "content-type": "application/json" });
  response.end(body);
  return passed.status;
}

/** As Flagsmith's API has it: see tests/sdks/stub.py. */
function environment(key: string, flag: string): object {
  return {
    id: 1,
    api_key: key,
    name: "production",
    updated_at: "2026-11-20T12:00:00+00:00",
    feature_states: [
      {
        django_id: 1,
        enabled: true,
        feature: { id: 1, name: flag, type: "STANDARD" },
        feature_state_value: `value of ${flag}`,
        featurestate_uuid: "00000000-0000-4000-8000-000000000001",
        multivariate_feature_state_values: [],
      },
    ],
    identity_overrides: [],
    project: {
      id: 1,
      name: "web",
      hide_disabled_flags: false,
      segments: [],
      organisation: {
        id: 1,
        name: "Acme",
        feature_analytics: true,
        stop_serving_flags: false,
        persist_trait_data: true,
      },
    },
  };
}
