// Where a text goes: clipboard, JSON, structured report, printer. All get the one text of the draft.
import { RequestError, ask, bodyOf } from "./server.js";

export class Handover {
  constructor(panel) {
    this.panel = panel;
  }

  async copy() {
    this.panel.commit();
    try {
      await navigator.clipboard.writeText(this.panel.text);
      this.kept("Copied. It is a draft: check it before you use it.");
    } catch {
      if (this.panel.at("edited").hidden) this.panel.toggleWhole();
      this.panel.at("edited").select();
      this.panel.state("This page may not use the clipboard; the text is selected, press Ctrl+C.", true);
    }
  }

  kept(line) {
    this.panel.draft.markSaved();
    this.panel.refresh();
    this.panel.state(line);
  }

  saveJson() {
    this.panel.commit();
    const { places, spans, mentions, empty, seen, ...record } = this.panel.record;
    if (this.panel.draft.edited) {
      const { name, organization } = this.panel.signature;
      Object.assign(record, { edited: this.panel.text, changes: this.panel.draft.changes(), person: name, organization });
    }
    save(new Blob([JSON.stringify(record, null, 1)], { type: "application/json" }), "draft-report.json");
    this.kept("Saved as JSON.");
  }

  async saveSr() {
    this.panel.commit();
    if (this.panel.draft.edited && !this.panel.signature.asked && !(await this.panel.signature.ask())) return this.panel.state("No structured report was made.");
    const { name, organization } = this.panel.signature;
    const fields = this.panel.draft.edited ? { text: this.panel.text, person: name, organization } : {};
    this.panel.state("Making the structured report…");
    try {
      const answer = await ask("/v1/structured-reports", { method: "POST", body: bodyOf(this.panel.files(), fields) });
      save(await answer.blob(), "draft-report.dcm");
      this.kept("Saved as a DICOM structured report: partial and unverified.");
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.panel.state(error.message, true);
    }
  }

  print() {
    this.panel.commit();
    window.print();
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
