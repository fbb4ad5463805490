import { expect, test } from "bun:test";
import type { Method, Route } from "./mod.ts";
import { createRouter } from "./router.ts";

const route = (method: Method, path: Route["path"]): Route => ({
  method,
  path,
  handle: () => ({ kind: "empty", status: 200 }),
});
const router = createRouter([
  route("GET", "/images/json"),
  route("GET", "/images/{name*}/json"),
  route("GET", "/images/{name*}/get"),
  route("GET", "/images/get"),
  route("POST", "/images/create"),
  route("DELETE", "/images/{name*}"),
  route("GET", "/networks/{id}"),
  route("HEAD", "/containers/{id}/archive"),
  route("GET", "/containers/{id}/archive"),
  route("GET", "/v2/{name*}/blobs/{digest}"),
  route("POST", "/v2/{name*}/blobs/uploads/"),
  route("PUT", "/v2/{name*}/blobs/uploads/{id}"),
]);
const at = (method: Method, path: string) => {
  const match = router(method, path);
  return match && `${match.route.method} ${match.route.path} ${JSON.stringify(match.params)}`;
};

test("literals win over parameters, and names may hold slashes in the middle", () => {
  expect(at("GET", "/images/json")).toBe("GET /images/json {}");
  expect(at("GET", "/images/a/json")).toBe('GET /images/{name*}/json {"name":"a"}');
  expect(at("GET", "/images/localhost:5000/x/y/json")).toBe('GET /images/{name*}/json {"name":"localhost:5000/x/y"}');
  expect(at("GET", "/images/json/json")).toBe('GET /images/{name*}/json {"name":"json"}');
  expect(at("GET", "/images/a/json/json")).toBe('GET /images/{name*}/json {"name":"a/json"}');
  expect(at("DELETE", "/images/create")).toBe('DELETE /images/{name*} {"name":"create"}');
  expect(at("GET", "/v2/a/b/blobs/sha256:1")).toBe('GET /v2/{name*}/blobs/{digest} {"name":"a/b","digest":"sha256:1"}');
  expect(at("POST", "/v2/blobs/uploads/blobs/uploads/")).toBe(
    'POST /v2/{name*}/blobs/uploads/ {"name":"blobs/uploads"}',
  );
  expect(at("PUT", "/v2/a/blobs/uploads/7")).toBe('PUT /v2/{name*}/blobs/uploads/{id} {"name":"a","id":"7"}');
});

test("paths are neither cleaned nor redirected", () => {
  expect(at("GET", "/images//a//b/json")).toBe('GET /images/{name*}/json {"name":"/a//b"}');
  expect(at("GET", "/images/../json/json")).toBe('GET /images/{name*}/json {"name":"../json"}');
  expect(at("GET", "/images//json")).toBeUndefined();
  expect(at("GET", "/networks/")).toBeUndefined();
  expect(at("GET", "/networks/a/")).toBeUndefined();
  expect(at("GET", "networks/a")).toBeUndefined();
});

test("parameters are percent-decoded after splitting", () => {
  expect(at("GET", "/networks/my%20net%2Fwork")).toBe('GET /networks/{id} {"id":"my net/work"}');
  expect(() => at("GET", "/networks/%zz")).toThrow("Malformed percent-encoding");
  expect(() => at("GET", "/networks/%ff")).toThrow("Malformed percent-encoding");
});

test("HEAD falls back to GET, other methods to nothing", () => {
  expect(at("HEAD", "/containers/a/archive")).toStartWith("HEAD ");
  expect(at("HEAD", "/images/json")).toBe("GET /images/json {}");
  expect(at("PUT", "/images/json")).toBeUndefined();
});

test("a parameter named like a property of Object is only a name", () => {
  expect(at("GET", "/networks/__proto__")).toBe('GET /networks/{id} {"id":"__proto__"}');
  expect(at("GET", "/constructor")).toBeUndefined();
});

test("the same route twice is refused", () => {
  expect(() => createRouter([route("GET", "/a/{x}"), route("GET", "/a/{y}")])).toThrow("Two routes for GET /a/{y}");
});

test("a path of many segments that almost matches does not take for ever", () => {
  const segments = "/blobs/uploads".repeat(2000);
  expect(at("GET", `/v2${segments}/x/y`)).toBeUndefined();
});
