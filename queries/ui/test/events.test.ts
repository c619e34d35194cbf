import { describe, expect, it } from "vitest";
import { EventReader } from "../src/api/events";

const stream =
  'retry: 2761\n\nid: a-1\nevent: snapshot\ndata: {"x":"é\\n"}\n\n: \n\nid: a-2\nevent: delta\ndata: 1\ndata: 2\n\n';

describe("events", () => {
  it("are the same however the bytes are cut", () => {
    const whole = new EventReader().read(stream);
    expect(whole).toEqual([
      { name: "snapshot", id: "a-1", data: '{"x":"é\\n"}' },
      { name: "", id: null, data: "" },
      { name: "delta", id: "a-2", data: "1\n2" },
    ]);
    for (let size = 1; size < stream.length; size += 1) {
      const reader = new EventReader();
      const events = [];
      for (let from = 0; from < stream.length; from += size)
        events.push(...reader.read(stream.slice(from, from + size)));
      expect(events).toEqual(whole);
      expect(reader.retryMs).toBe(2761);
    }
  });

  it("wait until they are whole", () => {
    const reader = new EventReader();
    expect(reader.read("event: delta\ndata: {")).toEqual([]);
    expect(reader.read("}\n\n")).toEqual([{ name: "delta", id: null, data: "{}" }]);
  });
});
