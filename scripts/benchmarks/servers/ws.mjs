// Node with ws: each event is encoded once, and sent to every client that is open, as the manual of ws shows it.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { listening, obey, options, runs } from "./line_protocol.mjs";

const require = createRequire(`${options.modules}/`);
const { WebSocket, WebSocketServer } = require("ws");

const server = createServer();
const viewers = runs.map(() => new Set());
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket, request) => {
  const watching = viewers[Number(request.url.split("/")[2])];
  watching.add(socket);
  socket.on("close", () => watching.delete(socket));
  socket.on("error", () => socket.terminate());
});

server.listen(0, "127.0.0.1", 2048, () => {
  listening(server.address().port, { ws: require("ws/package.json").version });
  obey((run, event) => {
    const message = Buffer.from(JSON.stringify(event));
    for (const socket of viewers[run]) {
      if (socket.readyState === WebSocket.OPEN) socket.send(message, { binary: false });
    }
  });
});
