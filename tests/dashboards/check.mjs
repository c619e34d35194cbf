// Holds the dashboards of deploy/grafana against the types that Grafana itself publishes (@grafana/schema, of the version that
// docker-compose.yml starts): a name that Grafana does not know, or a value that it does not take, is an error.
//
//     npm ci --ignore-scripts && node check.mjs [DASHBOARD...]
//
// Each panel is held against the types of its own kind. Of Prometheus' queries and annotations Grafana publishes none: the
// fields stand here as its editor saves them.
import { readFileSync, readdirSync, mkdtempSync, rmSync, writeFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const folder = join(here, "../../deploy/grafana/dashboards");
const KINDS = { timeseries: "TimeSeries", stat: "Stat", heatmap: "Heatmap" };
const RAW = "@grafana/schema/dist/types/raw";

const preamble = `
import type * as G from "${RAW}/dashboard/x/dashboard_types.gen.d.ts";
${Object.entries(KINDS)
  .map(([kind, name]) => `import type * as ${name} from "${RAW}/composable/${kind}/panelcfg/x/${name}PanelCfg_types.gen.d.ts";`)
  .join("\n")}
// A value of an enumeration is saved as what it stands for.
type Plain<T> = T extends string ? \`\${T}\` : T extends (infer U)[] ? Plain<U>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Query = { refId: string; datasource: Plain<G.DataSourceRef>; editorMode: "code"; expr: string; legendFormat: string;
  range: boolean; instant: boolean; format?: "heatmap" };
type Kind<Name extends string, Options, Custom> = Plain<Omit<G.Panel, "type" | "options" | "targets" | "fieldConfig">> & {
  type: Name; title: string; description: string; options: Plain<Partial<Options>>; targets: Query[];
  fieldConfig: { overrides: never[]; defaults: Plain<Omit<G.FieldConfig, "custom">> & { custom?: Plain<Partial<Custom>> } } };
type Panel = Plain<Omit<G.RowPanel, "panels">> & { panels: [] }
${Object.entries(KINDS)
  .map(([kind, name]) => {
    const custom = kind === "stat" ? "{}" : `${name}.FieldConfig`;
    return `  | Kind<"${kind}", ${name}.Options, ${custom}>`;
  })
  .join("\n")};
type Annotation = Plain<G.AnnotationQuery> & { expr?: string; step?: string; titleFormat?: string; textFormat?: string;
  tagKeys?: string; useValueForTime?: boolean };
type Dashboard = Plain<Omit<G.Dashboard, "panels" | "annotations">> & { uid: string; title: string; panels: Panel[];
  annotations: { list: Annotation[] } };
`;

const given = process.argv.slice(2);
const files = given.length ? given : readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
const scratch = mkdtempSync(join(tmpdir(), "flagmeter-dashboards-"));
try {
  symlinkSync(join(here, "node_modules"), join(scratch, "node_modules"));
  const sources = files.map((file) => {
    const source = join(scratch, `${basename(file)}.ts`);
    writeFileSync(source, `${preamble}\nexport const dashboard: Dashboard = ${readFileSync(file, "utf8")};\n`);
    return source;
  });
  const program = ts.createProgram(sources, {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
  });
  const wrong = ts.getPreEmitDiagnostics(program);
  const lines = preamble.split("\n").length;
  for (const { file, start, messageText } of wrong) {
    const at = file ? `${basename(file.fileName, ".ts")}:${file.getLineAndCharacterOfPosition(start).line + 1 - lines}: ` : "";
    console.error(at + ts.flattenDiagnosticMessageText(messageText, "\n"));
  }
  if (wrong.length) process.exitCode = 1;
  else console.log(`${files.length} dashboards are as Grafana's own types have them`);
} finally {
  rmSync(scratch, { recursive: true });
}
