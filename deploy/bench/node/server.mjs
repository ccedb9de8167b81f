// The campus as one would write it with socket.io alone: the same events and payloads as NEXUS, nothing kept, nothing repeated.
//
//   node server.mjs --port 4020 --halls 8 [--hz 1] [--redis redis://127.0.0.1:6379]
//
// It prints "listening" when it takes clients. A token is a name here; names that begin with "officer" hear alarms.
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

const { values: options } = parseArgs({ options: {
  port: { type: "string", default: "4020" },
  host: { type: "string", default: "127.0.0.1" },
  halls: { type: "string", default: "1" },
  hz: { type: "string", default: "1" },
  redis: { type: "string" },
} });

const http = createServer();
const io = new Server(http, { cors: { origin: false } });

if (options.redis) {
  const { createClient } = await import("redis");
  const { createAdapter } = await import("@socket.io/redis-adapter");
  const pub = createClient({ url: options.redis });
  const sub = pub.duplicate();
  for (const client of [pub, sub]) {
    client.on("error", (e) => console.error("redis:", e.message));
    await client.connect();
  }
  io.adapter(createAdapter(pub, sub));
}

const halls = Array.from({ length: Number(options.halls) }, (_, i) => ({
  hallId: `00000000-0000-7000-8000-${String(i + 1).padStart(12, "0")}`, name: `Hall ${i + 1}`, seq: 0, last: null,
}));

const mess = io.of("/mess");
mess.on("connection", (socket) => {
  socket.join(halls[0].hallId);
  socket.on("subscribe", ({ halls: wanted } = {}, answer) => {
    const heard = halls.filter((h) => wanted?.includes("*") || wanted?.includes(h.hallId));
    for (const h of halls) socket.leave(h.hallId);
    for (const h of heard) socket.join(h.hallId);
    answer?.({ snapshots: heard.flatMap((h) => h.last ?? []) });
  });
});

io.of("/academic"); // whose clients hear nothing

const security = io.of("/security");
security.use((socket, next) => {
  socket.data.name = socket.handshake.auth.token;
  next(socket.data.name ? undefined : new Error("a token is needed"));
});
security.on("connection", (socket) => {
  const { name } = socket.data;
  if (name.startsWith("officer")) socket.join("officers");
  socket.on("SOS_RAISE", ({ category = "panic", drill = false, lat, lng } = {}, answer) => {
    const incidentId = randomUUID();
    const timestamp = new Date().toISOString();
    security.to("officers").emit("CRITICAL_ALERT", {
      incidentId, userId: name, location: lat === undefined ? null : { lat, lng }, timestamp, seq: 1, state: "RAISED", category, drill,
      silent: false, durable: false, deliveryId: `officers:${incidentId}`, offset: 1,
    });
    answer?.({ incidentId, state: "RAISED", seq: 1 });
  });
  socket.on("SOS_CANCEL", ({ incidentId } = {}, answer) => {
    security.to("officers").emit("INCIDENT_EVENT", {
      incidentId, seq: 2, kind: "CANCELLED", actor: name, data: {}, at: new Date().toISOString(), hash: "", deliveryId: `officers:${incidentId}:2`, offset: 2,
    });
    answer?.({ state: "CANCELLED" });
  });
});

const period = 1000 / Number(options.hz);
let edge = Math.ceil(Date.now() / period) * period; // of the clock, as NEXUS; a timer may ring a little early
const tick = () => {
  if (Date.now() < edge) return void setTimeout(tick, 1);
  edge = Math.max(edge + period, Math.ceil(Date.now() / period) * period);
  const timestamp = new Date().toISOString();
  for (const h of halls) {
    h.last = {
      hallId: h.hallId, occupancy: 84, capacity: 400, level: 21, status: "Low", waitMinutes: 2, waitTime: "2 mins", stale: true, source: "none",
      asOf: null, hall: h.name, seq: ++h.seq, timestamp,
    };
    mess.to(h.hallId).emit("CROWD_UPDATE", h.last);
  }
  setTimeout(tick, edge - Date.now());
};
tick();

http.listen({ port: Number(options.port), host: options.host, backlog: 65535 }, () => console.log("listening")); // the kernel cuts the backlog to its own
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
