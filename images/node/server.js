// Answers every request on port 8080 with page.md as HTML.
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { marked } = require("marked");

const page = marked.parse(readFileSync("page.md", "utf8"));
const server = createServer((_, response) => response.setHeader("Content-Type", "text/html; charset=utf-8").end(page));
server.listen(8080, () => console.log("listening on port 8080"));
process.on("SIGTERM", () => process.exit(0)); // PID 1 has no default for it
