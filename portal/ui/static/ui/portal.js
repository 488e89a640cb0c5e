// The portal's own script. Pages work without it; it adds comfort.
// Texts never stand here: they come from data- attributes, already translated.

const $ = (selector, from = document) => from.querySelector(selector);

// ── htmx: the token that Django asks of every unsafe request ──
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = document.body.dataset.csrf;
});

// ── A part that could not be loaded says so once, until one is loaded again ──
const tellFailure = () => {
  const toasts = $("#toasts");
  if (!$("[data-failure]", toasts)) toasts.append($("#failure").content.cloneNode(true));
};
document.addEventListener("htmx:responseError", tellFailure);
document.addEventListener("htmx:sendError", tellFailure);
document.addEventListener("htmx:afterOnLoad", (event) => {
  if (event.detail.successful) $("#toasts [data-failure]")?.remove();
});

// ── Tooltip of chart marks: on hover and on focus ──
// Parts of the page are looked up each time: htmx replaces the body when one goes back.
const hideTip = () => $("#tip:popover-open")?.hidePopover();
const showTip = (mark, x, y) => {
  const tip = $("#tip");
  tip.textContent = mark.dataset.tip;
  tip.showPopover();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  const above = y - tip.offsetHeight - 10;
  tip.style.top = `${above < 8 ? y + 18 : above}px`;
};
document.addEventListener("pointermove", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  if (mark) showTip(mark, event.clientX, event.clientY);
  else if (!document.activeElement?.matches("[data-tip]")) hideTip();
});
document.addEventListener("focusin", (event) => {
  const mark = event.target.closest?.("[data-tip]");
  if (!mark) return hideTip();
  const box = mark.getBoundingClientRect();
  showTip(mark, box.left + box.width / 2, box.top);
});

// ── Dialogs, messages, menus ──
// <button data-dialog="id"> opens, [data-close] closes the dialog or message around it.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    event.preventDefault();
    return document.getElementById(opener.dataset.dialog)?.showModal();
  }
  const closer = event.target.closest("[data-close]");
  if (closer) {
    event.preventDefault();
    const dialog = closer.closest("dialog");
    if (dialog) dialog.close();
    else closer.closest(".message")?.remove();
  }
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
// <button data-copy="id" data-done="Copied"> copies what stands in the field.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const field = document.getElementById(button.dataset.copy);
  field.select();
  await navigator.clipboard?.writeText(field.value);
  if (navigator.clipboard) button.textContent = button.dataset.done;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  const menu = $("details.menu[open]");
  if (menu) {
    menu.open = false;
    $("summary", menu).focus();
  } else hideTip();
});

// ── A form that came back: to the first field with a fault ──
$("[aria-invalid='true']")?.focus();

// ── Keys, declared in the markup: <label data-key="1">, <button data-key="Enter"> ──
// Never while typing, with a modifier, with a dialog open or while the part reloads.
const typing = (element) =>
  element.matches("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat || event.isComposing) return;
  if ($("dialog[open]") || document.body.dataset.keys === "off") return;
  if (event.ctrlKey && event.key === "Enter") return event.target.form?.requestSubmit();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  // Enter and Space belong to the control that has the focus.
  if (["Enter", " "].includes(event.key) && event.target.closest("a, button, summary")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const target = $(`[data-key="${CSS.escape(key)}"]`);
  if (!target || target.disabled || target.closest(".htmx-request")) return;
  event.preventDefault();
  target.click();
});

// ── Progress is read aloud at most every ten seconds ──
// A swapped part may carry data-announce="620 of 1400"; the last one said is remembered.
let announcedAt = -Infinity;
document.addEventListener("htmx:afterSwap", (event) => {
  const said = $("#announce");
  const part = event.detail.elt;
  const source = part?.closest("[data-announce]") ?? (part && $("[data-announce]", part));
  if (!source || source.dataset.announce === said.textContent) return;
  const finished = source.dataset.announceNow !== undefined;
  if (!finished && performance.now() - announcedAt < 10_000) return;
  announcedAt = performance.now();
  said.textContent = source.dataset.announce;
});

// ── Playground: one prompt, up to three answers side by side while they are written ──
// What a model says is only ever added to a text node, so no piece of it can become markup.
let asking; // an AbortController while answers are under way

const eventsOf = async (response, take) => {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) take(JSON.parse(frame.replace(/^data: /, "")));
  }
};

const answerPane = (name) => {
  const pane = $("#answer").content.firstElementChild.cloneNode(true);
  $("[data-name]", pane).textContent = name;
  const write = (holder, more) => {
    const place = holder.matches(".text") ? holder : $(".text", holder);
    if (!place.firstChild) place.append("");
    place.firstChild.appendData(more);
    holder.hidden = false;
  };
  const settle = (state) => {
    for (const word of pane.querySelectorAll("[data-when]")) word.hidden = word.dataset.when !== state;
    pane.removeAttribute("aria-busy");
    pane.dataset.state = state;
  };
  const takes = {
    text: (event) => write($("[data-text]", pane), event.text),
    reasoning: (event) => write($("[data-reasoning]", pane), event.text),
    failed: (event) => {
      $("[data-said]", pane).textContent = event.failure;
      $("[data-detail]", pane).textContent = event.detail ?? "";
      $("[data-failure]", pane).hidden = false;
      settle("failed");
    },
    end: (event) => {
      const list = $("[data-figures]", pane);
      for (const [label, value] of event.figures) {
        list.append(document.createElement("dt"), document.createElement("dd"));
        list.children[list.children.length - 2].textContent = label;
        list.lastChild.textContent = value;
      }
      list.hidden = false;
      $("[name=sealed]", pane).value = event.sealed;
      $("[data-keep]", pane).hidden = !event.sealed;
      $("[data-silent]", pane).hidden = Boolean(event.sealed);
      settle("done");
    },
  };
  return { pane, settle, take: (event) => takes[event.kind]?.(event) };
};

const ask = async (form, select, signal) => {
  const answer = answerPane(select.selectedOptions[0].text);
  $("#answers").append(answer.pane);
  htmx.process(answer.pane);
  try {
    const address = form.dataset.address.replace("/0/", `/${select.value}/`);
    const response = await fetch(address, { method: "POST", body: new FormData(form), signal });
    const kind = response.headers.get("Content-Type") ?? "";
    if (kind.startsWith("text/event-stream")) await eventsOf(response, answer.take);
    else if (kind.startsWith("application/json")) answer.take({ kind: "failed", ...(await response.json()) });
    if (!answer.pane.dataset.state) throw new TypeError("no end");
  } catch (error) {
    if (signal.aborted) answer.settle("stopped");
    else answer.take({ kind: "failed", failure: form.dataset.broken });
  }
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-playground]")) return;
  event.preventDefault();
  const chosen = [...form.querySelectorAll("[name=m]")].filter(
    (select, at, all) => select.value && all.findIndex((other) => other.value === select.value) === at,
  );
  const [said, stop] = [$("#announce"), $("[data-stop]", form)];
  asking?.abort();
  const mine = (asking = new AbortController());
  $("#answers").replaceChildren();
  stop.hidden = false;
  said.textContent = form.dataset.begun;
  await Promise.all(chosen.map((select) => ask(form, select, mine.signal)));
  if (asking !== mine) return; // another prompt was sent meanwhile
  if (document.activeElement === stop) $("[name=prompt]", form).focus();
  stop.hidden = true;
  said.textContent = mine.signal.aborted ? form.dataset.stopped : form.dataset.ended;
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-stop]")) asking?.abort();
});
