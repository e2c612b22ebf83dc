"use strict";
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

// --- the page --------------------------------------------------------------------------------

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function view(name) {
  for (const id of ["start", "judge", "end"]) $(id).hidden = id !== name;
  $("progress").hidden = $("save").hidden = $("who").hidden = name === "start";
  $("who").textContent = rater;
  $("who").setAttribute("aria-label", `rater ${rater}; another one`);
  $("bar").value = order.length ? done() / order.length : 0;
  $("count").textContent = name === "judge"
    ? `${at + 1} of ${order.length}, ${done()} answered` : `${done()} of ${order.length} answered`;
  say("missing", "");
  window.scrollTo(0, 0);
}

function begin() {
  order = shuffled(rater);
  remember();
  unsaved = false;
  say("warning", kept ? "" : $("warning").textContent);
  const first = order.findIndex((one) => !whole(one));
  if (first < 0) return finish();
  show(first);
}

function finish() {
  view("end");
  $("saved").textContent = "";
  const missing = order.length - done();
  $("finished").textContent = missing ? `${missing} not answered yet` : "All answered. Thank you!";
  $("finished").focus();
}

function side(place) {
  return PAIRS ? ["Left", "Right"][place] : "Picture";
}

function show(index) {
  at = index;
  const { item, places } = order[at];
  view("judge");
  $("caption").textContent = PAIRS ? item.caption : "";
  $("caption").hidden = !PAIRS;
  $("pictures").replaceChildren(...places.map((slot, place) => {
    const { src, width, height } = item[slot];
    const alt = PAIRS ? `${side(place)} picture for this caption` : "patches of one picture, enlarged";
    const image = element("img", { src, alt, width, height });
    if (!PAIRS) image.style.width = `${width * DATA.pixels}px`;
    image.onerror = () => say("warning", `${src} is missing: keep the folder pictures beside this page.`);
    if (!PAIRS) return element("figure", {}, image);
    const button = element("button", { type: "button", onclick: () => zoom(place) }, image);
    button.setAttribute("aria-label", `${side(place)} picture; look at both at 100 %`);
    return element("figure", {}, button, element("figcaption", { textContent: side(place) }));
  }));
  $("questions").replaceChildren(...QUESTIONS.map((question, number) => {
    const choices = PAIRS
      ? places.map((slot, place) => [slot, side(place), ["←", "→"][place]])
      : Object.entries(DATA.rating.words).map(([value, word]) => [Number(value), word, ""]);
    const labels = choices.map(([value, word, key]) => {
      const input = element("input", { type: "radio", name: question.name, value });
      input.checked = answer(item, question) === value;
      input.onchange = () => choose(number, value);
      input.onfocus = () => current(number);
      return element("label", {}, input, ...(PAIRS ? [word, element("kbd", { textContent: key })]
        : [element("b", { textContent: value }), word]));
    });
    const title = element("b", { textContent: question.title, id: `q-${question.name}` });
    const group = element("div", { className: "question" },
      element("div", { className: "asked" }, title, element("span", { textContent: question.text })),
      element("div", { className: "choices" }, ...labels));
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-labelledby", title.id);
    return group;
  }));
  $("back").disabled = at === 0;
  const open = QUESTIONS.findIndex((question) => answer(item, question) === undefined);
  focusOn(Math.max(open, 0));
}

function current(number) {
  asked = number;
  [...$("questions").children].forEach((group, i) => group.classList.toggle("current", i === number));
}

function focusOn(number) {
  current(number);
  const group = $("questions").children[number];
  (group.querySelector(":checked") ?? group.querySelector("input")).focus({ preventScroll: true });
}

function choose(number, value) {
  const { item } = order[at];
  (mine()[item.id] ??= {})[QUESTIONS[number].name] = value;
  remember();
  say("missing", "");
  const group = $("questions").children[number];
  for (const input of group.querySelectorAll("input")) input.checked = input.value === String(value);
  $("bar").value = done() / order.length;
  $("count").textContent = `${at + 1} of ${order.length}, ${done()} answered`;
  if (number + 1 < QUESTIONS.length) focusOn(number + 1);
  else $("next").focus({ preventScroll: true });
}

function next() {
  const open = QUESTIONS.filter((question) => answer(order[at].item, question) === undefined);
  if (open.length) {
    say("missing", `Not answered yet: ${open.map((question) => question.title).join(", ")}.`);
    return focusOn(QUESTIONS.indexOf(open[0]));
  }
  if (at + 1 < order.length) return show(at + 1);
  const skipped = order.findIndex((one) => !whole(one));
  return skipped < 0 ? finish() : show(skipped);
}

function back() {
  if (!$("end").hidden) return show(order.length - 1);
  if (at > 0) show(at - 1);
}

// --- 100 % -----------------------------------------------------------------------------------

function zoom(place) {
  const { item, places } = order[at];
  const panes = places.map((slot, i) => {
    const { src, width, height } = item[slot];
    const pixel = 1 / window.devicePixelRatio; // of the picture: one of the screen
    const image = element("img", { src, alt: `${side(i)} picture at 100 %`, draggable: false });
    image.style.width = `${width * pixel}px`;
    image.style.height = `${height * pixel}px`;
    const frame = element("div", { tabIndex: 0 }, image);
    frame.setAttribute("aria-label", `${side(i)} picture, arrows move it`);
    return element("div", { className: "pane" }, element("p", { textContent: side(i) }), frame);
  });
  $("panes").replaceChildren(...panes);
  const frames = panes.map((pane) => pane.lastChild);
  for (const frame of frames) {
    frame.onscroll = () => {
      for (const other of frames) {
        if (other === frame) continue;
        other.scrollLeft = frame.scrollLeft;
        other.scrollTop = frame.scrollTop;
      }
    };
    frame.onpointermove = (event) => {
      if (event.pointerType !== "mouse" || !(event.buttons & 1)) return;
      frame.scrollBy(-event.movementX, -event.movementY);
    };
  }
  $("zoom").showModal();
  const [frame] = frames;
  frame.scrollTo((frame.scrollWidth - frame.clientWidth) / 2, (frame.scrollHeight - frame.clientHeight) / 2);
  frames[place].focus();
}

// --- keys ------------------------------------------------------------------------------------

const KEYS = [
  ...(PAIRS ? [[["←", "1"], "the left picture is better"], [["→", "2"], "the right picture is better"]]
    : [[["1", "2", "3", "4", "5"], "the rating"]]),
  ...(PAIRS ? [[["↑", "↓"], "another question"], [["Z"], "both pictures at 100 %; there, arrows move them"]] : []),
  [["Enter"], "next"],
  [["Backspace"], "back"],
  [["S"], "save what is answered so far as JSON"],
  [["C"], "save it as CSV"],
  [["?"], "these keys"],
];

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const takes = (action) => {
    event.preventDefault();
    action();
  };
  if ($("zoom").open) {
    if (key === "z") takes(() => $("zoom").close());
    return;
  }
  if ($("keys").open) {
    if (key === "?") takes(() => $("keys").close());
    return;
  }
  if (!$("start").hidden) return;
  if (key === "?") return takes(() => $("keys").showModal());
  if (key === "s") return takes(() => download("json"));
  if (key === "c") return takes(() => download("csv"));
  if (key === "Backspace") return takes(back);
  if ($("judge").hidden) return;
  const { places } = order[at];
  if (PAIRS) {
    const chosen = { ArrowLeft: 0, 1: 0, ArrowRight: 1, 2: 1 }[key];
    if (chosen !== undefined) return takes(() => choose(asked, places[chosen]));
    if (key === "ArrowUp") return takes(() => focusOn(Math.max(asked - 1, 0)));
    if (key === "ArrowDown") return takes(() => focusOn(Math.min(asked + 1, QUESTIONS.length - 1)));
    if (key === "z") return takes(() => zoom(0));
  } else if (/^[1-5]$/.test(key)) {
    return takes(() => choose(0, Number(key)));
  }
  // on a button Enter does what the button says
  if (key === "Enter" && document.activeElement.tagName !== "BUTTON") takes(next);
}

// --- start -----------------------------------------------------------------------------------

document.body.classList.add(DATA.purpose);
$("title").textContent = PAIRS ? "Which picture is better?" : "How good are the details?";
document.title = $("title").textContent;
$("task").textContent = PAIRS
  ? `You see ${DATA.items.length} captions, each with two pictures, and answer three questions on each pair.`
  : `You see patches of ${DATA.items.length} pictures, enlarged, and rate the details of each from 1 to 5.`;
$("facts").replaceChildren(...[
  "Nothing leaves this computer: you save your answers as a file and send that.",
  "You can stop at any time; this page goes on where you stopped.",
  PAIRS ? "There is no tie: where two pictures seem equal, take the one that you would rather have."
    : "Rate what you see in the patches, not whether you like the picture.",
  "Everything can be done by keys; ? shows them.",
].map((text) => element("li", { textContent: text })));
$("list").replaceChildren(...KEYS.flatMap(([keys, text]) => [
  element("dt", {}, ...keys.map((key) => element("kbd", { textContent: key }))),
  element("dd", { textContent: text }),
]));
$("begin").onsubmit = (event) => {
  event.preventDefault();
  rater = $("rater").value.trim().replace(/\s+/g, " ");
  if (rater) begin();
};
$("questions").onsubmit = (event) => event.preventDefault();
$("load").onchange = (event) => event.target.files[0] && load(event.target.files[0]);
$("next").onclick = next;
$("back").onclick = $("again").onclick = back;
$("save").onclick = $("json").onclick = () => download("json");
$("csv").onclick = () => download("csv");
$("help").onclick = () => $("keys").showModal();
$("who").onclick = () => {
  view("start");
  $("rater").value = "";
  $("rater").focus();
};
$("close").onclick = () => $("zoom").close();
$("keys-close").onclick = () => $("keys").close();
document.addEventListener("keydown", pressed);
window.addEventListener("beforeunload", (event) => {
  if (!kept && unsaved) event.preventDefault();
});
recall();
if (rater) begin();
else $("rater").focus();
