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
