/** An answer of `/v1/flags` with very many flags: for what size costs, where the server is of no interest. */
export function manyFlags(count: number): object {
  const flags = Array.from({ length: count }, (_, at) => ({
    customer: "acme",
    project: "web",
    flag: `flag-${String(at).padStart(4, "0")}`,
    environments: ["production"],
    first_seen: "2026-11-01T00:00:00Z",
    last_seen: "2026-11-20T00:00:00Z",
    in_registry: true,
    owner: null,
    remove_by: null,
    past_removal: false,
    total: (at * 7919) % 10_007,
    previous_total: 100,
    change: 0.5,
    trend: [at % 7, at % 5, null, at % 3],
  }));
  const buckets = [1, 2, 3, 4].map((day) => ({
    start: `2026-11-1${day}T00:00:00Z`,
    end: `2026-11-1${day + 1}T00:00:00Z`,
    state: day === 3 ? "unknown" : "complete",
  }));
  return {
    from: "2026-11-11T00:00:00Z",
    to: "2026-11-15T00:00:00Z",
    resolution: "1d",
    tz: "UTC",
    complete_until: "2026-11-20T00:00:00Z",
    missing_nodes: [],
    state: "complete",
    buckets,
    flags,
    next: null,
  };
}
