// One WebSocket of Node's `ws`, with the library's own settings, driven by lines of JSON. It ends with its
// connection, or when stdin does.
//
// usage: ws_viewer.cjs URL, the token in RUNCAST_TOKEN
// stdin:  {"send": text} | {"ping": text} | {"close": code}
// stdout: {"open": extensions offered} | {"message": text} | {"pong": text} | {"closed": code} | {"failed": message}
"use strict";

const { createInterface } = require("node:readline");
const WebSocket = require("ws");

let offered = "";
const socket = new WebSocket(process.argv[2], "runcast.v1", {
  headers: { Authorization: `Bearer ${process.env.RUNCAST_TOKEN}` },
  finishRequest(request) {
    offered = request.getHeader("sec-websocket-extensions") ?? "";
    request.end();
  },
});
const commands = createInterface({ input: process.stdin });

const obey = {
  send: (text) => socket.send(text),
  ping: (text) => socket.ping(text),
  close: (code) => socket.close(code),
};

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

socket.on("open", () => say({ open: offered }));
socket.on("message", (data) => say({ message: data.toString() }));
socket.on("pong", (data) => say({ pong: data.toString() }));
socket.on("error", (error) => say({ failed: error.message }));
socket.on("close", (code) => {
  say({ closed: code });
  commands.close();
  process.stdin.destroy();
});

commands.on("line", (line) => {
  for (const [name, value] of Object.entries(JSON.parse(line))) obey[name](value);
});
commands.on("close", () => socket.terminate());
