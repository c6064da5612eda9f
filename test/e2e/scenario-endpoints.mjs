/**
 * The little servers of a scenario, in the network namespace in which this runs. Orders come on standard input, answers go to standard
 * output, a line of JSON each.
 */
import { createServer } from "node:net";
import { createInterface } from "node:readline";

/** name → { spec, server, requests } */
const endpoints = new Map();
const sockets = new Set();

function http(endpoint, socket) {
  let head = "";
  socket.on("data", (data) => {
    head += data;
    if (!head.includes("\r\n\r\n")) return;
    const { spec } = endpoint;
    const [line, ...headers] = head.split("\r\n");
    const [method, path] = line.split(" ");
    const host = headers.find((header) => /^host:/i.test(header))?.replace(/^host:\s*/i, "");
    endpoint.requests.push(`${method} ${path} Host=${host}`);
    const [status, body] = spec.routes?.[path] ?? [spec.status ?? 200, spec.body ?? "ok\n"];
    const more = Object.entries(spec.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
    const length = `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    socket.end(`HTTP/1.1 ${status} X\r\n${more.join("")}${length}${method === "HEAD" ? "" : body}`);
  });
}

function smtp(endpoint, socket) {
  let text = "";
  let mail;
  const envelope = [];
  socket.write("220 x\r\n");
  socket.on("data", (data) => {
    text += data;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const line = text.slice(0, end).replace(/\r$/, "");
      text = text.slice(end + 1);
      if (mail) {
        if (line !== ".") mail.push(line);
        else {
          endpoint.requests.push([...envelope.splice(0), "DATA", ...mail].join("\n"));
          mail = undefined;
          socket.write("250 queued\r\n");
        }
        continue;
      }
      const word = line.slice(0, 4).toUpperCase();
      if (word === "MAIL" || word === "RCPT") envelope.push(line);
      if (word === "DATA") mail = [];
      socket.write({ DATA: "354 go\r\n", QUIT: "221 bye\r\n" }[word] ?? "250 ok\r\n");
      if (word === "QUIT") socket.end();
    }
  });
}

function tcp(endpoint, socket) {
  const { spec } = endpoint;
  if (spec.greet) socket.write(spec.greet);
  socket.once("data", (data) => {
    endpoint.requests.push(String(data));
    socket.end(spec.answer);
  });
}

function up(endpoint) {
  if (endpoint.server) return Promise.resolve();
  const { spec } = endpoint;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.setEncoding("latin1");
    socket.endpoint = endpoint;
    if (spec.hang) return;
    ({ http, tcp, smtp })[spec.kind ?? "http"](endpoint, socket);
  });
  endpoint.server = server;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(spec.port, spec.addr, resolve);
  });
}

function down(endpoint) {
  endpoint.server?.close();
  endpoint.server = undefined;
  for (const socket of sockets) if (socket.endpoint === endpoint) socket.destroy();
}

const orders = {
  define({ name, spec }) {
    endpoints.set(name, { spec, requests: [] });
  },
  up: ({ name }) => up(endpoints.get(name)),
  down: ({ name }) => down(endpoints.get(name)),
  set({ name, to }) {
    Object.assign(endpoints.get(name).spec, to);
  },
  /** What was asked since the last time. */
  requests: () =>
    Object.fromEntries([...endpoints].map(([name, endpoint]) => [name, endpoint.requests.splice(0)])),
};

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    const result = await orders[order.do](order);
    console.log(JSON.stringify({ result: result ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message }));
  }
}
process.exit();
