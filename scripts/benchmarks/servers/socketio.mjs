// Node with Socket.IO: one `io.emit` per event, WebSocket transport only.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { listening, obey, options } from "./line_protocol.mjs";

const require = createRequire(`${options.modules}/`);
const { Server } = require("socket.io");

const server = createServer();
const io = new Server(server, { transports: ["websocket"], serveClient: false });

server.listen(0, "127.0.0.1", 2048, () => {
  listening(server.address().port, { "socket.io": require("socket.io/package.json").version });
  obey((run, event) => io.emit("event", event));
});
