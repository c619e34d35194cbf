import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Compresses what was built, once and as well as can be: the server only hands it out. */
function compressed(): Plugin {
  let folder = "";
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
      if (config.build.outDir.startsWith("/")) folder = config.build.outDir;
    },
    closeBundle() {
      for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        const path = join(folder, file);
        if (!statSync(path).isFile() || /\.(gz|br)$/.test(path)) continue;
        const bytes = readFileSync(path);
        writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
        );
      }
    },
  };
}

/** What a page imports later is fetched from the start, beside what is first to run. */
function preloaded(): Plugin {
  return {
    name: "preloaded",
    apply: "build",
    transformIndexHtml: {
      order: "post",
      handler: (_html, { chunk, bundle }) =>
        (chunk?.dynamicImports ?? [])
          .flatMap((name) => {
            const later = bundle?.[name];
            return [name, ...(later?.type === "chunk" ? later.imports : [])];
          })
          .filter((name) => name !== chunk?.fileName && !chunk?.imports.includes(name))
          .map((name) => ({
            tag: "link",
            attrs: { rel: "modulepreload", crossorigin: true, href: `/${name}` },
            injectTo: "head",
          })),
    },
  };
}

// For `npm run dev`: where the API is, and a token of it.
const api = process.env.FLAGMETER_URL ?? "http://127.0.0.1:8080";
const token = process.env.FLAGMETER_TOKEN;

export default defineConfig({
  plugins: [preloaded(), compressed()],
  build: {
    target: "es2022",
    // What is not text stays a file: the content security policy takes nothing from elsewhere, data addresses included.
    assetsInlineLimit: 0,
    // All views together are little: many small files cost more than what one leaves out.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: ["index.html", "embed.html"] },
  },
  server: {
    proxy: {
      "^/(v1|embed/|openapi.json)": {
        target: api,
        ...(token ? { headers: { authorization: `Bearer ${token}` } } : {}),
      },
    },
  },
  test: { include: ["test/**/*.test.ts"] },
});
