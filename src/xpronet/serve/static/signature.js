// Who edited a text, as that person says; nobody has to say it.
export class Signature {
  constructor(at, changed) {
    Object.assign(this, { at, changed, asked: false, name: "", organization: "" });
  }

  // Resolves to false where the person thought better of it.
  ask() {
    const dialog = this.at("sign-dialog");
    dialog.returnValue = "cancel";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => {
        if (dialog.returnValue !== "cancel") this.take(dialog.returnValue === "sign");
        resolve(dialog.returnValue !== "cancel");
      }, { once: true });
    });
  }

  // The name as DICOM writes it: Family^Given.
  take(named) {
    const [family, given, organization] = ["family", "given", "organization"].map((id) => named ? this.at(id).value.trim().replaceAll("^", " ") : "");
    this.name = given ? `${family}^${given}` : family;
    this.organization = organization;
    this.asked = true;
    this.changed();
  }
}
