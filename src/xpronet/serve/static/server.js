// Requests to the server of this page, and to no other.
let token = "";

export function setToken(value) {
  token = value;
}

export class RequestError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(path, { json = false, ...options } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (json) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError(0, "The server does not respond. Is it still running?");
  }
  if (answer.ok) return answer;
  let detail = `The server answers with status ${answer.status}.`;
  if ((answer.headers.get("content-type") || "").startsWith("application/json")) detail = (await answer.json()).detail;
  throw new RequestError(answer.status, detail);
}

export function bodyOf(files, fields = {}) {
  const body = new FormData();
  // The file name is not sent: it may name a patient.
  files.forEach((file, index) => body.append("views", file, `view-${index + 1}`));
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return body;
}

// Yield [event, value] of a stream of server-sent events. Films in full depth make it long: only what is new is searched
// for the end of an event.
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const interrupted = new RequestError(0, "The connection was interrupted before the draft was complete. Send the images again.");
  let pieces = [];
  for (let ended = false; ;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : interrupted;
    });
    if (done && !ended) throw interrupted;
    if (done) return;
    pieces.push(value);
    // The empty line may lie between two pieces.
    if (!`${pieces.at(-2)?.at(-1) ?? ""}${value}`.includes("\n\n")) continue;
    const blocks = pieces.join("").split("\n\n");
    pieces = [blocks.pop()];
    for (const block of blocks) {
      const [name, data] = block.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
      ended ||= ["report", "error", "end"].includes(name);
      yield [name, JSON.parse(data)];
    }
  }
}
