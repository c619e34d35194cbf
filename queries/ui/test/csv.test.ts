import { describe, expect, it } from "vitest";
import { csv } from "../src/parts/csv";

describe("a file for spreadsheets", () => {
  it("leaves what is not known empty, and keeps zero", () => {
    expect(csv(["a", "b", "c"], [[null, 0, false]])).toBe("a,b,c\r\n,0,false\r\n");
  });

  it("lets no name be a formula, as the API does", () => {
    for (const name of ["=1+1", "+1", "-1", "@x", "\t=1"]) {
      expect(csv(["a"], [[name]]).split("\r\n")[1]).toBe(`'${name}`);
    }
    expect(csv(["a"], [[-0.5]])).toBe("a\r\n-0.5\r\n");
  });

  it("quotes what would end a cell", () => {
    expect(csv(["a"], [['x,"y"\nz']])).toBe('a\r\n"x,""y""\nz"\r\n');
    expect(csv(["a"], [['=HYPERLINK("x")']])).toBe('a\r\n"\'=HYPERLINK(""x"")"\r\n');
  });
});
