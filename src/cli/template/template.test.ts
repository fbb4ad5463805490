import { expect, test } from "bun:test";
import { compileTemplate } from "./evaluate.ts";

const data = {
  Name: "web",
  Ports: ["80", "443"],
  Config: { Labels: { "a.b": "x", z: "y" }, Env: [] },
  Id: "abcdef",
  N: 3,
  Null: null,
};

test.each([
  ["{{.Name}}", "web"],
  ["a {{ .Name }} b", "a web b"],
  ["a {{- .Name -}} b", "awebb"],
  ["{{.name}}", "web"],
  ["{{json .Config.Labels}}", '{"a.b":"x","z":"y"}'],
  ['{{index .Config.Labels "a.b"}}', "x"],
  ['{{index .Config.Labels "none"}}', ""],
  ['{{join .Ports ","}}', "80,443"],
  ["{{range .Ports}}<{{.}}>{{end}}", "<80><443>"],
  ["{{range $i, $p := .Ports}}{{$i}}={{$p}};{{end}}", "0=80;1=443;"],
  ["{{range $k, $v := .Config.Labels}}{{$k}}:{{$v}} {{end}}", "a.b:x z:y "],
  ["{{range .Config.Env}}x{{else}}none{{end}}", "none"],
  ["{{if .Null}}a{{else if eq .N 3}}b{{else}}c{{end}}", "b"],
  ["{{if and .Name (not .Null)}}yes{{end}}", "yes"],
  ["{{with .Config}}{{len .Labels}}{{end}}", "2"],
  ['{{.Name | upper | printf "%-5s|"}}', "WEB  |"],
  ["{{$x := .Name}}{{$x}}!", "web!"],
  ["{{(index .Ports 0)}}", "80"],
  ["{{slice .Id 0 3}} {{truncate .Id 2}}", "abc ab"],
  ["{{.Ports}} {{.Config.Labels}} {{.Null}}", "[80 443] map[a.b:x z:y] <nil>"],
  ["{{/* said nothing */}}x", "x"],
  ["{{println .Name}}", "web\n"],
  ["{{$.Name}}", "web"],
])("%s", (template, expected) => {
  expect(compileTemplate(template)(data)).toBe(expected);
});

test.each([
  ["{{.Name", "unclosed action"],
  ["{{nope .Name}}", 'function "nope" not defined'],
  ["{{if .Name}}x", "no {{end}}"],
  ["{{end}}", "unexpected {{end}}"],
  ["{{.Name.First}}", "can't evaluate field First"],
  ['{{"open}}', "unterminated quoted string"],
  ["{{$nope}}", "undefined variable"],
  ["{{(len .Name}}", "unclosed left paren"],
  ["{{.Name | }}", "missing value"],
])("%s is refused", (template, message) => {
  expect(() => compileTemplate(template)(data)).toThrow(message);
});
