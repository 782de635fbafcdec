// Calls of the server. Every error is an Error whose message is a sentence for the user.
async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer: is animate serve still running?");
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (answer.ok) return found;
  const error = new Error(sentence(found.error ?? `The server answered ${answer.status}: try again.`));
  error.status = answer.status;
  throw error;
}

export function sentence(text) {
  const closed = /[.!?]$/.test(text) ? text : `${text}.`;
  return closed[0].toUpperCase() + closed.slice(1);
}

function form(fields) {
  const data = new FormData();
  for (const [name, value] of fields) {
    if (value instanceof Blob) data.append(name, value, value.name ?? "file");
    else data.append(name, value);
  }
  return { method: "POST", body: data };
}

export const health = () => call("/api/health");
export const settings = () => call("/api/settings");
export const examples = () => call("/api/examples");
export const faces = (photo) => call("/api/faces", form([["photo", photo]]));
export const job = (id) => call(`/api/animate/${id}`);
export const remove = (id) => call(`/api/animate/${id}`, { method: "DELETE" });
export const animate = (photos, clip, chosen) =>
  call("/api/animate", form([...photos.map((photo) => ["photo", photo]), ["clip", clip], ["settings", JSON.stringify(chosen)]]));
export const verify = (files) =>
  call("/api/verify", form([...files.map((file) => ["file", file]), ["evidence", "true"]]));

export async function example(name) {
  const answer = await fetch(`/api/examples/${encodeURIComponent(name)}`);
  if (!answer.ok) throw new Error("The example could not be loaded: try again.");
  const blob = await answer.blob();
  return new File([blob], name, { type: blob.type });
}
