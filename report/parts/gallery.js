// Sorting and the view at 100 %. Without it the page still shows all, and links lead to originals.
"use strict";

const dialog = document.querySelector(".zoom");
const view = dialog.querySelector(".view");
const full = dialog.querySelector("img");
const words = dialog.querySelector("p");
const resize = dialog.querySelector("[data-do=fit]");
let current = null; // the link of the picture that is shown
let fitted = false;

// a picture's value of a score, NaN where it has none
function score(item, label, name) {
  for (const link of item.querySelectorAll("a[data-scores]")) {
    if (link.dataset.label === label) {
      const value = JSON.parse(link.dataset.scores)[name];
      if (value !== undefined) return value;
    }
  }
  return NaN;
}

function sort(group) {
  const choice = group.querySelector("select").selectedOptions[0];
  const falling = group.querySelector("[data-do=direction]").getAttribute("aria-pressed") === "true";
  const list = group.querySelector(".items");
  const items = [...list.children];
  const { label, score: name } = choice.dataset;
  const key = (item) => (name ? score(item, label, name) : Number(item.dataset.place));
  const keys = new Map(items.map((item) => [item, key(item)]));
  items.sort((a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // last
    return (falling && name ? y - x : x - y) || a.dataset.place - b.dataset.place;
  });
  list.append(...items);
  for (const value of list.querySelectorAll(".scores [data-name]")) {
    const of = value.closest("figure").querySelector("a").dataset.label;
    value.classList.toggle("chosen", value.dataset.name === name && of === label);
  }
  group.querySelector("[data-do=direction]").disabled = !name; // the prompts' order is one
  const order = name ? `, ${falling ? "falling" : "rising"}` : "";
  group.querySelector("[role=status]").textContent = `Sorted by ${choice.textContent}${order}`;
}

for (const tools of document.querySelectorAll(".tools")) {
  const group = tools.closest(".group");
  group.querySelector("select").addEventListener("change", () => sort(group));
  group.querySelector("[data-do=direction]").addEventListener("click", ({ currentTarget }) => {
    const falling = currentTarget.getAttribute("aria-pressed") !== "true";
    currentTarget.setAttribute("aria-pressed", falling);
    currentTarget.textContent = falling ? "highest first" : "lowest first";
    sort(group);
  });
}

// where the middle of the view is in the picture, from 0 to 1, so that the next shows the same place
function middle() {
  const of = (start, shown, all) => (all ? (start + shown / 2) / all : 0.5);
  return [of(view.scrollLeft, view.clientWidth, view.scrollWidth),
    of(view.scrollTop, view.clientHeight, view.scrollHeight)];
}

function scale([x, y]) {
  full.classList.toggle("fit", fitted);
  // 100 %: a pixel of the file is a pixel of the screen
  full.style.width = fitted ? "" : `${full.naturalWidth / devicePixelRatio}px`;
  resize.textContent = fitted ? "100 % (Z)" : "Fit (Z)";
  view.scrollLeft = x * view.scrollWidth - view.clientWidth / 2;
  view.scrollTop = y * view.scrollHeight - view.clientHeight / 2;
}

function show(link) {
  const place = current ? middle() : [0.5, 0.5];
  current = link;
  full.onload = () => scale(place);
  full.onerror = () => {
    full.onerror = null;
    words.textContent += " (The original is not where the run left it: this is the thumbnail.)";
    full.src = link.querySelector("img").src;
  };
  full.alt = link.querySelector("img").alt;
  words.textContent = link.title;
  full.src = link.href;
  if (!dialog.open) dialog.showModal();
  view.focus();
}

function step(by) {
  const links = [...document.querySelectorAll("a[data-label]")];
  const next = links[links.indexOf(current) + by];
  if (next) show(next);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-label]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link);
});

const does = {
  previous: () => step(-1),
  next: () => step(1),
  fit: () => {
    const place = middle();
    fitted = !fitted;
    scale(place);
  },
  close: () => dialog.close(),
};
const keys = { ArrowLeft: "previous", ArrowRight: "next", z: "fit", Z: "fit" };

dialog.addEventListener("click", (event) => {
  does[event.target.closest("button")?.dataset.do]?.();
});
dialog.addEventListener("keydown", (event) => {
  if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  does[keys[event.key]]();
});
dialog.addEventListener("close", () => {
  full.onload = full.onerror = null;
  full.removeAttribute("src");
  current.scrollIntoView({ block: "nearest" });
  current.focus();
  current = null;
});
