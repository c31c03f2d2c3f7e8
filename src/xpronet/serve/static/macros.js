// Sentences that a person keeps in a file of their own. The file is read here, in the browser, and sent nowhere.

const MOST = 500;
const LONGEST = 5000;

// JSON: {"name": "text"} or [{"name": ..., "text": ...}]. Text: one a line, "name: text"; blank lines and # are left out.
export function parseMacros(content, fileName) {
  const found = /\.json$/i.test(fileName) || /^\s*[[{]/.test(content) ? fromJson(content, fileName) : fromLines(content);
  const macros = found.map(({ name, text }) => ({ name: String(name).trim(), text: String(text).trim() })).filter(({ name, text }) => name && text);
  if (!macros.length) throw new Error(`${fileName}: no macros in it; write one a line, as name: text`);
  if (macros.length > MOST || macros.some(({ text }) => text.length > LONGEST)) {
    throw new Error(`${fileName}: at most ${MOST} macros of ${LONGEST} characters; shorten it`);
  }
  return macros;
}

function fromJson(content, fileName) {
  let record;
  try {
    record = JSON.parse(content);
  } catch (error) {
    throw new Error(`${fileName}: no JSON (${error.message}); write {"name": "text"}`);
  }
  if (Array.isArray(record) && record.every((each) => typeof each?.name === "string" && typeof each?.text === "string")) return record;
  const pairs = record && typeof record === "object" && !Array.isArray(record) ? Object.entries(record) : [];
  if (!pairs.length || pairs.some(([, text]) => typeof text !== "string")) throw new Error(`${fileName}: no macros in it; write {"name": "text"}`);
  return pairs.map(([name, text]) => ({ name, text }));
}

function fromLines(content) {
  return content.split(/\r?\n/).filter((line) => line.trim() && !line.trim().startsWith("#")).map((line) => {
    const at = line.indexOf(":");
    return at > 0 ? { name: line.slice(0, at), text: line.slice(at + 1) } : { name: line.slice(0, 40), text: line };
  });
}
