// Keys, and the start of it all: after answers.js and page.js.

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
