// The official client behind standard input and output: one JSON command per line in, one JSON event per line out.
//
//   {"op":"dial","url":"http://...","ns":"/mess","options":{...}}   opens the socket
//   {"op":"emit","event":"subscribe","args":[...],"ack":1}          the callback comes back as {"kind":"ack","ack":1,"args":[...]}
//                    with "timeout":50 the callback has an "error" if none comes in so many ms; with "volatile":true it may be dropped
//   {"op":"also","ns":"/mess","event":"echo","args":[...],"ack":1}  the same in another namespace of the same connection
//   {"op":"auth","auth":{...}}                                      what the next CONNECT carries
//   {"op":"connect"} {"op":"disconnect"}
//   {"op":"drop"}                                                   the connection breaks, and the client comes back by itself
//   {"op":"move","url":"http://..."}                                where it goes the next time
//
// What the server wants acknowledged is, as soon as it has been told; an event named "mirror" with its own arguments. Binary values are written
// {"$binary":"base64"} on both sides.
//
// Events: {"kind","name","args","at","transport"}. The kinds are open, upgrade, connect, connect_error, disconnect, event and ack; at is in milliseconds of this process's monotonic clock since the Unix epoch.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

let socket;

const now = () => performance.timeOrigin + performance.now();

function tell(kind, name, args, more) {
  const transport = socket?.io.engine?.transport?.name ?? "";
  process.stdout.write(JSON.stringify({ kind, name, args: written(args), at: now(), transport, ...more }) + "\n");
}

// each is a value with f applied to what is in it, inside out.
function each(value, f) {
  if (Array.isArray(value)) return value.map((v) => each(v, f));
  const plain = value !== null && typeof value === "object" && !Buffer.isBuffer(value);
  return f(plain ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, each(v, f)])) : value);
}

const written = (args) => each(args, (v) => (Buffer.isBuffer(v) ? { $binary: v.toString("base64") } : v));
const read = (args) => each(args, (v) => (typeof v?.$binary === "string" ? Buffer.from(v.$binary, "base64") : v));

const commands = {
  dial({ url, ns, options }) {
    socket = io(url + ns, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500, ...options });
    socket.io.on("open", () => {
      tell("open", socket.io.engine.id, []);
      socket.io.engine.on("upgrade", (transport) => tell("upgrade", transport.name, []));
    });
    socket.on("connect", () => tell("connect", socket.id, [], { recovered: socket.recovered === true }));
    socket.on("connect_error", (e) => {
      tell("connect_error", e.message, [e.data ?? null, { status: e.context?.status, cause: e.description?.message }]);
    });
    socket.on("disconnect", (reason, details) =>
      tell("disconnect", reason, [{ code: details?.context?.code ?? null, reason: details?.context?.reason ?? null }]),
    );
    socket.onAny((name, ...args) => {
      const ack = typeof args.at(-1) === "function" ? args.pop() : undefined;
      tell("event", name, args);
      ack?.(...(name === "mirror" ? args : []));
    });
  },
  emit({ event, args, ack, timeout, volatile }) {
    let to = volatile ? socket.volatile : socket;
    if (timeout) {
      to = to.timeout(timeout);
    }
    const heard = (...answer) => {
      const error = timeout ? answer.shift() : undefined;
      tell("ack", event, answer, { ack, error: error?.message });
    };
    to.emit(event, ...read(args), ...(ack ? [heard] : []));
  },
  also({ ns, event, args, ack }) {
    socket.io.socket(ns).emit(event, ...read(args), (...answer) => tell("ack", event, answer, { ack }));
  },
  auth({ auth }) {
    socket.auth = auth;
  },
  connect() {
    socket.connect();
  },
  disconnect() {
    socket.disconnect();
  },
  drop() {
    socket.io.engine.close();
  },
  move({ url }) {
    socket.io.uri = url;
  },
};

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const command = JSON.parse(line);
  commands[command.op](command);
});
lines.on("close", () => process.exit(0));
