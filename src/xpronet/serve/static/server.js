// Talk to the server this page came from, and to nobody else.
let token = "";

export function setToken(given) {
  token = given;
}

export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let detail = `The server answers with status ${answer.status}.`;
  if ((answer.headers.get("content-type") || "").startsWith("application/json")) detail = (await answer.json()).detail;
  throw new Refused(answer.status, detail);
}

export function bodyOf(files, text = null) {
  const body = new FormData();
  // What a file is called stays here: it may name a patient.
  files.forEach((file, index) => body.append("views", file, `view-${index + 1}`));
  if (text !== null) body.append("text", text);
  return body;
}

// Yield [event, value] of a stream of server-sent events.
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const broken = new Refused(0, "The connection broke off before the draft was whole. Send the pictures again.");
  for (let ended = false; ;) {
    const { done, value } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : broken;
    });
    if (done && !ended) throw broken;
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [name, data] = block.split("\n").map((line) => line.slice(line.indexOf(" ") + 1));
      ended ||= name === "report" || name === "error";
      yield [name, JSON.parse(data)];
    }
  }
}
