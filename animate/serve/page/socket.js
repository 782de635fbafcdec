// The WebSocket of a live session: JSON, or JSON with bytes after it (docs/page.md).
const LENGTH = 4; // bytes before the JSON, its length

export function pack(head, body) {
  const text = new TextEncoder().encode(JSON.stringify(head));
  const bytes = body instanceof ArrayBuffer ? new Uint8Array(body) : body;
  const message = new Uint8Array(LENGTH + text.length + bytes.length);
  new DataView(message.buffer).setUint32(0, text.length, true);
  message.set(text, LENGTH);
  message.set(bytes, LENGTH + text.length);
  return message;
}

export function unpack(buffer) {
  const end = LENGTH + new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, LENGTH, end - LENGTH)));
  return [head, new Uint8Array(buffer, end)];
}

// `take` gets (head, bytes) of each message, `ended` a sentence or null, once.
export function openSocket({ take, ended }) {
  const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/api/live`);
  socket.binaryType = "arraybuffer";
  let over = false;
  const end = (words) => {
    if (over) return;
    over = true;
    socket.close();
    ended(words);
  };
  socket.onmessage = ({ data }) => {
    const [head, bytes] = typeof data === "string" ? [JSON.parse(data), null] : unpack(data);
    if (head.event === "error") end(head.error);
    else take(head, bytes);
  };
  socket.onclose = () => end("The live session ended: start it again.");
  const send = (head, body) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    socket.send(body ? pack(head, body) : JSON.stringify(head));
  };
  return {
    send,
    opened: new Promise((done) => { socket.onopen = done; }),
    close: () => end(null),
    waiting: () => socket.bufferedAmount,
  };
}
