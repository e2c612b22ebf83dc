// What is shown: views of the page, items, both pictures at 100 %.

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
