"use strict";
// What is asked, what a rater has answered, and the files of it that are saved and loaded.
const DATA = JSON.parse(document.getElementById("data").textContent);
const PAIRS = DATA.purpose === "pairs";
const QUESTIONS = PAIRS ? DATA.questions : [{ name: "rating", title: DATA.rating.text, text: "" }];
const STORE = `rating-kit-${DATA.kit}`;
const $ = (id) => document.getElementById(id);

// what each rater of this page has answered: {name: {item: {question: choice}}}; choice is the
// place, a or b, of the better picture, or a rating
let all = {};
let rater = "";
let order = []; // [{item, places}] as this rater sees them
let at = 0;
let asked = 0; // the question that the keys answer
let kept = true;
let unsaved = false;

// --- what is kept between visits -----------------------------------------------------------

function remember() {
  unsaved = true;
  try {
    localStorage.setItem(STORE, JSON.stringify({ rater, all }));
  } catch {
    warn();
  }
}

function recall() {
  try {
    localStorage.setItem(`${STORE}-tried`, "1");
    localStorage.removeItem(`${STORE}-tried`);
    const text = localStorage.getItem(STORE);
    if (text) ({ rater, all } = JSON.parse(text));
  } catch {
    warn();
  }
}

function warn() {
  kept = false;
  say("warning", "This browser keeps nothing between visits here: save (S) before you close or" +
    " reload the page; the saved JSON can be loaded at the start.");
}

function say(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

// --- order and sides: drawn by kit and rater's name, so that a reload gives the same ---------

function random(text) {
  let state = 2166136261; // FNV-1a of the text, then mulberry32
  for (const byte of new TextEncoder().encode(text)) {
    state = Math.imul(state ^ byte, 16777619);
  }
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function shuffled(name) {
  const draw = random(DATA.kit + name);
  const places = () => (PAIRS ? (draw() < 0.5 ? ["a", "b"] : ["b", "a"]) : ["a"]);
  const items = DATA.items.map((item) => ({ item, places: places() }));
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [items[i], items[j]] = [items[j], items[i]];
  }
  return items;
}

// --- answers ---------------------------------------------------------------------------------

const mine = () => (all[rater] ??= {});
const answer = (item, question) => mine()[item.id]?.[question.name];
const whole = ({ item }) => QUESTIONS.every((question) => answer(item, question) !== undefined);
const done = () => order.filter(whole).length;

function rows() {
  const found = [];
  for (const { item, places } of order) {
    for (const question of QUESTIONS) {
      const value = answer(item, question);
      if (value === undefined) continue;
      found.push(PAIRS
        ? { item: item.id, first: places[0], second: places[1], question: question.name,
            choice: value === places[0] ? "first" : "second" }
        : { item: item.id, rating: value });
    }
  }
  return found;
}

function download(form) {
  const answers = rows();
  let text;
  if (form === "json") {
    const head = { kit: DATA.kit, purpose: DATA.purpose, rater, items: DATA.items.length };
    text = JSON.stringify({ ...head, answers }, null, 1) + "\n";
  } else {
    const names = PAIRS ? ["item", "first", "second", "question", "choice"] : ["item", "rating"];
    const cell = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const lines = answers.map((row) => [DATA.kit, rater, ...names.map((name) => row[name])]);
    text = [["kit", "rater", ...names], ...lines]
      .map((line) => line.map((value) => cell(String(value))).join(",") + "\n").join("");
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: form === "json" ? "application/json" : "text/csv" }));
  const name = rater.normalize("NFKD").replace(/[^\p{L}\p{N}]+/gu, "-") || "rater";
  link.download = `${DATA.purpose}-${name}.${form}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  unsaved = false;
  say("saved", `${link.download}: ${done()} of ${order.length} answered. It is in your downloads.`);
  if ($("end").hidden) say("missing", $("saved").textContent);
}

async function load(file) {
  try {
    const saved = JSON.parse(await file.text());
    if (saved.kit !== DATA.kit) throw new Error("it belongs to another page of questions");
    const of = (all[saved.rater] ??= {});
    for (const row of saved.answers) {
      const value = PAIRS ? row[row.choice] : row.rating;
      (of[row.item] ??= {})[PAIRS ? row.question : "rating"] = value;
    }
    rater = saved.rater;
    begin();
  } catch (error) {
    say("warning", `${file.name} cannot be loaded: ${error.message}.`);
  }
}
