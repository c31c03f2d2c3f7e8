// Whose films these are and when they were made, by their headers; shown here and sent nowhere.
import { dateOf } from "./film.js";
import { make } from "./make.js";

const nameOf = (name) => {
  const [family, given, middle] = name.split("=")[0].split("^");
  return [family, [given, middle].filter(Boolean).join(" ")].filter(Boolean).join(", ");
};

export const timeOf = (time) => (/^\d{4}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : "");

// Of several films the first with a header speaks: the server refuses films of two patients.
const headerOf = (films) => films.map((film) => film.header).find(Boolean);

export function identity(films) {
  const header = headerOf(films);
  if (!films.length) return [];
  if (!header) return ["No DICOM header: the films do not say whose they are."];
  const facts = [
    header.PatientID && `ID ${header.PatientID}`,
    header.PatientBirthDate && `born ${dateOf(header.PatientBirthDate)}`,
    header.PatientSex,
    header.StudyDate && `study of ${dateOf(header.StudyDate)} ${timeOf(header.StudyTime)}`.trim(),
    header.StudyDescription,
    header.AccessionNumber && `accession ${header.AccessionNumber}`,
  ];
  return [make("b", {}, nameOf(header.PatientName) || "Name not in the header"), ...facts.filter(Boolean).flatMap((fact) => [" · ", fact])];
}

// Of a prior study only what differs between studies of one patient.
export function dates(films) {
  const header = headerOf(films);
  return header?.StudyDate ? `· ${dateOf(header.StudyDate)}` : "";
}

// What must be said about the order and the headers of the films.
export function remarks(views) {
  const lines = [];
  const order = views.map((film) => film.record.upload);
  if (order.some((upload, index) => upload !== index + 1)) lines.push("Lateral films were put behind frontal ones, as their headers say.");
  if (views.length && views.every((film) => film.header?.lateral)) lines.push("By their headers, all films are lateral: the model expects a frontal one first.");
  return lines;
}

// Why a prior study may be another patient's; empty where nothing speaks against it.
export function doubtOfPrior(views, priors) {
  const [now, then] = [headerOf(views), headerOf(priors)];
  if (!now || !then) return "Nothing shows that the prior films are of the same patient: a DICOM header is missing.";
  const differing = ["PatientID", "PatientBirthDate", "PatientSex"].filter((key) => now[key] && then[key] && now[key] !== then[key]);
  if (differing.length) return `The prior films are of another patient: ${differing.join(" and ")} differ.`;
  if (now.StudyDate && then.StudyDate && then.StudyDate > now.StudyDate) return "The prior study is later than this one.";
  return "";
}
