/** A `flagmeter demo` of one's own: its own folder, ports, tokens. It can be killed and started again. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** How long it may take to fill in its history and say that it is ready. */
const STARTS_WITHIN_MS = 400_000;
const STOPS_WITHIN_MS = 180_000;
/** The registry is looked at once a second. */
const REGISTRY_WITHIN_MS = 120_000;
const TOKEN_WITHIN_MS = 120_000;
/** Days of history: as many as a view needs to have something to show. */
const DAYS = "2";
/** Posts a second of the fleet: enough for live charts, and little enough for two of these on two cores. */
const RATE = "20";

export type Role = "customer" | "billing" | "operator";

export interface Token {
  /** What `flagmeter token revoke` takes. */
  id: string;
  text: string;
}

export interface Count {
  flag: string;
  count: number;
  variant?: string;
  /** RFC 3339; as it arrives where it is left out. */
  at?: string;
}

const run = promisify(execFile);

/** A demo takes every FLAGMETER_… for a setting, and is not to hear of those that are for the tests. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("FLAGMETER_")),
);

export class Demo {
  private process: ChildProcess | null = null;
  private output = "";

  private constructor(
    private readonly binary: string,
    private readonly folder: string,
    private readonly port: number,
  ) {}

  /** Starts one, and comes back when its history is in and its fleet is let loose. */
  static async start(binary: string): Promise<Demo> {
    const demo = new Demo(binary, await mkdtemp(join(tmpdir(), "flagmeter-page-")), await freePort());
    try {
      await demo.begin(["--days", DAYS]);
    } catch (error) {
      if (demo.process) await end(demo.process, "SIGKILL");
      await rm(demo.folder, { recursive: true, force: true });
      throw error;
    }
    return demo;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** All that it has printed, over all its starts. */
  get log(): string {
    return this.output;
  }

  /** Ends it at once, as a power cut does. */
  async kill(): Promise<void> {
    if (!this.process) throw new Error("the demo is not running");
    await end(this.process, "SIGKILL");
    this.process = null;
  }

  /** Starts it again where it was, with the data that it had. */
  async again(): Promise<void> {
    await this.begin(["--keep"]);
  }

  /** Stops it in order, and leaves nothing behind. */
  async stop(): Promise<void> {
    if (this.process) {
      const process = this.process;
      const late = setTimeout(() => process.kill("SIGKILL"), STOPS_WITHIN_MS);
      await end(process, "SIGTERM");
      clearTimeout(late);
      this.process = null;
      if (process.exitCode !== 0)
        throw new Error(`flagmeter stopped with status ${process.exitCode}:\n${this.tail()}`);
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Makes a token, as whoever runs flagmeter does. */
  async token(role: Role, options: { customer?: string; expires?: string } = {}): Promise<Token> {
    const more = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    const { stdout } = await this.command("token", "create", role, ...more);
    const text = /fm_[0-9a-f]+_[0-9a-f]+/.exec(stdout)?.[0];
    const id = text?.split("_")[1];
    if (!text || !id) throw new Error(`there is no token in what \`token create\` said: ${stdout}`);
    // A server that runs beside it learns of it within a second or two.
    const headers = { authorization: `Bearer ${text}` };
    const isKnown = async (): Promise<boolean> => (await fetch(`${this.url}/v1/session`, { headers })).ok;
    await until(isKnown, TOKEN_WITHIN_MS, `the new token of the role ${role}`);
    return { id, text };
  }

  async revoke(token: Token): Promise<void> {
    await this.command("token", "revoke", token.id);
  }

  /** A link to one chart, and to nothing else, as whoever has this token shares it. */
  async link(token: Token, query: string, expiresIn = "1h"): Promise<string> {
    const answer = await fetch(`${this.url}/v1/embed`, {
      method: "POST",
      headers: { authorization: `Bearer ${token.text}`, "content-type": "application/json" },
      body: JSON.stringify({ query, expires_in: expiresIn }),
    });
    if (answer.status !== 201) throw new Error(`/v1/embed answered ${answer.status} ${await answer.text()}`);
    const { url } = (await answer.json()) as { url: string };
    return new URL(url, this.url).href;
  }

  /** What the API answers to whoever has this token. */
  async get<T>(token: Token, path: string, params: Record<string, string> = {}): Promise<T> {
    const query = new URLSearchParams(params).toString();
    const address = `${this.url}${path}${query ? `${path.includes("?") ? "&" : "?"}${query}` : ""}`;
    const answer = await fetch(address, { headers: { authorization: `Bearer ${token.text}` } });
    if (!answer.ok) throw new Error(`${address}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  /** Adds a customer with one project, `app`, and one environment, `live`, and waits until its key is taken. */
  async addCustomer(id: string, flags: readonly string[] = []): Promise<string> {
    const registry = join(this.folder, "data", "registry.toml");
    const key = `ser.demo-${id}`;
    if ((await readFile(registry, "utf8")).includes(`keys = ["${key}"]`)) return key;
    const text = (value: string): string => JSON.stringify(value);
    await appendFile(
      registry,
      `\n[[customer]]\nid = ${text(id)}\ntime_zone = "UTC"\n\n[[customer.project]]\nid = "app"\n` +
        `flags = [${flags.map(text).join(", ")}]\n\n` +
        `[[customer.project.environment]]\nid = "live"\nkeys = ["${key}"]\n`,
    );
    await until(async () => (await this.post(key, [])) !== 401, REGISTRY_WITHIN_MS, `the key of ${id}`);
    return key;
  }

  /** Counts, and comes back when that is acknowledged. */
  async count(key: string, counts: readonly Count[]): Promise<void> {
    const status = await this.post(key, counts);
    if (status !== 202) throw new Error(`/v1/counts answered ${status}`);
  }

  private async post(key: string, counts: readonly Count[]): Promise<number> {
    const answer = await fetch(`${this.url}/v1/counts`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ counts }),
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  private async begin(more: readonly string[]): Promise<void> {
    const data = ["--data", join(this.folder, "data")];
    const listen = ["--listen", `127.0.0.1:${this.port}`, "--metrics", "127.0.0.1:0"];
    // A slow machine's answer is late, and no error.
    const settings = ["--set", "queries.read_timeout=120s"];
    const process = spawn(this.binary, ["demo", ...data, ...listen, ...settings, "--rate", RATE, ...more], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.process = process;
    const from = this.output.length;
    await new Promise<void>((ready, failed) => {
      const late = setTimeout(() => over("was not ready in time"), STARTS_WITHIN_MS);
      const over = (why: string): void => {
        clearTimeout(late);
        failed(new Error(`flagmeter demo ${why}:\n${this.tail()}`));
      };
      const heard = (piece: Buffer): void => {
        this.output += piece.toString();
        if (!this.output.includes("Ready after", from)) return;
        clearTimeout(late);
        ready();
      };
      process.stdout.on("data", heard);
      process.stderr.on("data", heard);
      process.on("error", (error) => over(`did not start (${error.message})`));
      process.on("exit", (status) => over(`ended with status ${status}`));
    });
  }

  /** The end of its log. */
  tail(lines = 40): string {
    return this.output.split("\n").slice(-lines).join("\n");
  }

  private async command(...words: string[]): Promise<{ stdout: string }> {
    return run(this.binary, [...words, "--data", join(this.folder, "data")], { env: environment });
  }

  /** Writes the log where it can be read when this is over. */
  async writeLog(path: string): Promise<void> {
    await writeFile(path, this.output);
  }
}

/** Comes back when it has ended, which it may have by itself before. */
async function end(process: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, "exit");
  process.kill(signal);
  await ended;
}

/**
 * A port outside the range from which the system gives ports to connections: what is killed and started again finds its own
 * still free.
 */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((done) => {
      probe.once("error", () => done(false));
      probe.listen(port, "127.0.0.1", () => done(true));
    });
    if (!isFree) continue;
    await new Promise((closed) => probe.close(closed));
    return port;
  }
  throw new Error("there is no free port from 20000 to 29999");
}

/** Waits for a condition outside of the browser; `expect.poll` is for those within a test. */
export async function until(
  condition: () => Promise<boolean>,
  withinMs: number,
  what: string,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    // A pause between two looks, and nothing is measured by it.
    await new Promise((next) => setTimeout(next, 50));
  }
}
