"use strict";
// Parley's chat page. The server sends blocks of finished, sanitised HTML; this file puts them
// into place, asks, and keeps what a person has typed. Nothing here comes from elsewhere.

const root = document.documentElement;
const encoded = encodeURIComponent;
const $ = (id) => document.getElementById(id);
const phone = matchMedia("(max-width: 720px), (hover: none) and (pointer: coarse)");
const narrow = matchMedia("(max-width: 720px)");
const local = stored("localStorage");
const tab = stored("sessionStorage");
if (local.get("theme")) root.dataset.theme = local.get("theme"); // before the first paint

const page = {
	state: null, // what /page/state said
	summaries: new Map(), // id -> summary, of the list as it is searched
	id: "", // of the open chat; empty: a new one
	current: null, // its summary
	window: 0, // its tokens
	views: new Map(), // turn id -> TurnView
	files: new Map(), // chat id -> files for its next question
	picked: "", // personality of a new chat
	isSending: false,
	isNext: false, // what stands in the box is sent, too, once it can be
	near: null, // watches for answers that are to be read
	unsure: null, // a question that may have arrived, and its key
};

function stored(area) {
	const use = (work) => {
		try { return work(window[area]); } catch { return null; } // a browser may refuse
	};
	return {
		get: (key) => use((kept) => kept.getItem(key)) ?? "",
		set: (key, value) => use((kept) => (value ? kept.setItem(key, value) : kept.removeItem(key))),
	};
}

function element(name, fields = {}, ...children) {
	const made = Object.assign(document.createElement(name), fields);
	made.append(...children);
	return made;
}

/** To set what is the same already costs a browser time, too. */
function change(node, value, property = "textContent") {
	if (node[property] !== value) node[property] = value;
}

/** Shows a sentence, or nothing. */
function tell(id, text) {
	change($(id), text);
	$(id).hidden = !text;
}

const icon = (name) => `<svg viewBox="0 0 24 24"><use href="#i-${name}"/></svg>`;
const iconButton = (name, ariaLabel) => (
	element("button", { type: "button", className: "icon", innerHTML: icon(name), ariaLabel })
);

/** Buttons in the page say by ``data-icon`` what they show. */
function drawIcons(part) {
	for (const button of part.querySelectorAll("[data-icon]")) {
		button.insertAdjacentHTML("afterbegin", icon(button.dataset.icon || button.dataset.do));
		button.title ||= button.ariaLabel ?? "";
	}
}

// --- Asking the server

const AWAY = "Parley cannot be reached just now. Nothing is lost; try again in a moment.";

const NO_COOKIE = "Parley knows a browser by its cookie. Allow cookies here, then load the page again.";

class Problem extends Error {
	constructor(message, status = 0) {
		super(message);
		this.status = status;
	}
}

async function call(method, path, body = {}, more = {}) {
	const headers = { "X-Parley-Page": "1", ...more };
	const options = { method, headers };
	if (method !== "GET") {
		const isWhole = body instanceof FormData || body instanceof Blob;
		if (!(body instanceof FormData)) headers["Content-Type"] = "application/json";
		options.body = isWhole ? body : JSON.stringify(body);
	}
	const answer = await fetch(path, options).catch(() => {
		throw new Problem(AWAY);
	});
	const said = await answer.json().catch(() => null);
	if (answer.ok) return said;
	if (answer.status === 401 && path !== "/page/sign-in") {
		// A browser of this machine needs no key, but has to keep who it is.
		if (path !== "/page/state" && page.state?.owner.name === "") throw new Problem(NO_COOKIE, 401);
		signIn();
	}
	const fallback = `Parley could not do that (${answer.status}). Try again.`;
	throw new Problem(said?.error?.message ?? fallback, answer.status);
}

const chatPath = (id, rest = "") => `/page/chats/${encoded(id)}${rest}`;
const turnPath = (turn, rest) => `/page/turns/${encoded(turn.id)}/${rest}`;

/** Does it, and tells a problem in a sentence; whether it was done. */
async function attempt(work) {
	tell("problem", "");
	try {
		await work();
		return true;
	} catch (problem) {
		if (!(problem instanceof Problem)) throw problem;
		tell("problem", problem.message);
		return false;
	}
}

// --- Blocks: only what changed is touched

/** Makes ``holder`` show ``blocks``, each one element, of which it showed ``shown``; how many at
		the beginning have stayed. */
function patch(holder, shown, blocks) {
	let same = 0;
	while (same < shown.length && shown[same] === blocks[same]) same++;
	while (holder.children.length > blocks.length) holder.lastChild.remove();
	for (let at = same; at < blocks.length; at++) {
		const old = holder.children[at];
		if (old && extend(old, shown[at], blocks[at])) continue;
		const fresh = parsed(blocks[at]);
		if (!old) holder.append(fresh);
		else if (!grow(old, fresh)) old.replaceWith(fresh);
	}
	return same;
}

const parsed = (html) => element("template", { innerHTML: html }).content.firstChild;

/** Adds to ``block`` what ``html`` has more than ``before``, if only its end is another one. Only
		that is parsed, within copies of the elements that were open at the end. */
function extend(block, before, html) {
	const [closing] = before.match(/(<\/\w+>)+$/) ?? [""];
	const begun = before.slice(0, before.length - closing.length);
	if (!closing || !html.startsWith(begun)) return false;
	const open = [block];
	while (open.length < closing.split("<").length - 1) open.push(open.at(-1).lastChild);
	const tags = open.map((each) => each.cloneNode(false).outerHTML.replace(/<\/\w+>$/, ""));
	let copy = parsed(tags.join("") + html.slice(begun.length));
	for (const each of open) {
		const [first, ...rest] = copy.childNodes;
		if (each === open.at(-1) && first) join(each, first);
		each.append(...rest);
		copy = first; // of the next one that is open
	}
	return true;
}

function join(to, node) {
	const areTexts = node.nodeType === Node.TEXT_NODE && to.lastChild?.nodeType === Node.TEXT_NODE;
	if (areTexts) to.lastChild.appendData(node.data);
	else to.append(node);
}

/** Makes ``old`` equal to ``fresh`` if both are of one kind. What is equal from the start stays,
		with its layout and with what a person has selected in it. */
function grow(old, fresh) {
	if (old.nodeType !== fresh.nodeType) return false;
	if (old.nodeType === Node.TEXT_NODE) {
		setText(old, fresh.data);
		return true;
	}
	if (!old.cloneNode(false).isEqualNode(fresh.cloneNode(false))) return false;
	const [mine, theirs] = [[...old.childNodes], [...fresh.childNodes]];
	let same = 0;
	while (mine[same]?.isEqualNode(theirs[same] ?? null)) same++;
	if (mine[same] && theirs[same] && grow(mine[same], theirs[same])) same++;
	for (const each of mine.slice(same)) each.remove();
	old.append(...theirs.slice(same));
	return true;
}

function setText(node, text) {
	if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
	else node.data = text;
}

// --- A turn

class TurnView {
	constructor() {
		this.el = $("turn").content.firstElementChild.cloneNode(true);
		this.el.view = this;
		this.part = {};
		for (const each of this.el.querySelectorAll("[data-part], [data-do]")) {
			this.part[each.dataset.part ?? each.dataset.do] = each;
		}
		this.turn = null;
		this.shown = 0; // the number of the answer to be seen
		this.blocks = [];
		this.thoughts = null; // the text node of reasoning that grows
	}

	get answer() {
		return this.turn.answers[this.shown - 1];
	}

	/** The answer on its way, if that is the one to be seen. */
	get growing() {
		return this.shown === this.newest ? this.turn.growing : null;
	}

	/** The number of the answer on its way: a new one, or one that becomes longer. */
	get newest() {
		return this.turn.growing?.number || this.turn.answers.length + 1;
	}

	show(turn) {
		const before = this.turn;
		const follows = !before?.growing || this.growing;
		this.turn = turn;
		if (follows || this.shown > turn.answers.length) {
			this.shown = turn.growing ? this.newest : turn.chosen;
		}
		this.draw();
		if (before?.growing && !turn.growing) announceEnd(this);
	}

	draw() {
		const { part, turn, answer, growing } = this;
		const question = growing ? turn.question : answer?.question ?? turn.question;
		change(part.question, question);
		part.question.hidden = !question;
		part.files.replaceChildren(...turn.files.map((name) => element("li", { textContent: name })));
		part.files.hidden = !turn.files.length;
		if (growing) this.drawGrowing();
		else this.drawAnswer(answer ?? {});
		const count = Math.max(turn.answers.length, turn.growing ? this.newest : 0);
		part.leaf.hidden = count < 2;
		part.place.textContent = `${this.shown}/${count}`;
		part.before.disabled = this.shown <= 1;
		part.after.disabled = this.shown >= count;
		part.edit.hidden = Boolean(turn.growing);
		part.acts.hidden = Boolean(growing);
		part.stage.hidden = !growing;
		const isOutline = Boolean(answer && !answer.html && !growing);
		this.el.classList.toggle("outline", isOutline);
		page.near.unobserve(this.el);
		if (isOutline) page.near.observe(this.el);
	}

	/** Older answers come without what they say, which is read when somebody gets near them. */
	async read(answer = this.answer) {
		const path = `answers/${answer.number}?chat=${encodeURIComponent(page.id)}`;
		Object.assign(answer, await call("GET", turnPath(this.turn, path)));
		if (answer === this.answer) this.draw();
	}

	drawGrowing() {
		const { part, growing } = this;
		this.drawText(growing.html ?? []);
		change(part.reasoning, !growing.reasoning, "hidden");
		if (growing.reasoning) {
			if (!this.thoughts) part.thoughts.replaceChildren(this.thoughts = new Text());
			part.thoughts.classList.add("plain");
			setText(this.thoughts, growing.reasoning);
		}
		change(part.thinking, growing.stage === "thinking" ? "Thinking …" : "Reasoning");
		change(part.stage, stageText(growing));
		change(part.stage, `stage ${growing.stage}`, "className");
		change(part.note, true, "hidden");
		this.drawSources([]);
		change(part.meta, joined(growing.model, titleOf(growing.personality)));
	}

	drawAnswer(answer) {
		const { part, turn } = this;
		const { html = [], note = "", rating = 0 } = answer;
		this.drawText(html);
		this.thoughts = null;
		part.thoughts.innerHTML = answer.reasoning_html ?? "";
		part.thoughts.classList.remove("plain");
		part.reasoning.hidden = !answer.reasoning_html;
		part.thinking.textContent = "Reasoning";
		part.note.textContent = note;
		part.note.hidden = !note;
		part.note.classList.toggle("bad", answer.state === "failed");
		this.drawSources(html.length ? turn.sources ?? [] : []);
		const isChosen = answer.number === turn.chosen && !turn.growing;
		part.retry.hidden = Boolean(this.el.nextElementSibling || turn.growing);
		part.continue.hidden = !(answer.can_continue && isChosen);
		part.copy.hidden = !html.length;
		part.good.hidden = part.bad.hidden = !(html.length && isChosen);
		part.good.ariaPressed = String(rating > 0);
		part.bad.ariaPressed = String(rating < 0);
		const { tokens_per_second: speed, seconds } = answer;
		const pace = speed && `${figures.format(speed < 10 ? speed : Math.round(speed))} tokens/s`;
		const name = titleOf(answer.personality);
		part.meta.textContent = joined(answer.model, name, pace, seconds && duration(seconds));
	}

	drawSources(sources) {
		const { part } = this;
		part.sources.hidden = !sources.length;
		part.sources.replaceChildren(...sources.map(({ title, address }) => {
			const item = element("li", {});
			const link = { textContent: title, href: address, title: address, target: "_blank", rel: "noopener noreferrer" };
			item.append(address ? element("a", link) : title);
			return item;
		}));
	}

	drawText(blocks) {
		const same = patch(this.part.text, this.blocks, blocks);
		const changed = [...this.blocks.slice(same), ...blocks.slice(same)];
		if (changed.some((html) => /<h[3-6]/.test(html))) levelHeadings(this.part.text);
		this.blocks = blocks;
	}
}

/** A model skips levels, and a screen reader's user would look for what stands between. */
function levelHeadings(text) {
	const above = [];
	for (const heading of text.querySelectorAll("h3, h4, h5, h6")) {
		while (above.at(-1) >= heading.nodeName) above.pop();
		above.push(heading.nodeName);
		change(heading, String(2 + above.length), "ariaLevel");
	}
}

const figures = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const joined = (...words) => words.filter(Boolean).join(" · ");
const personalityOf = (name) => page.state?.personalities.find((each) => each.name === name);
const titleOf = (name) => personalityOf(name)?.title ?? name;

function stageText({ stage, place, wait, model, doing }) {
	if (doing) return doing[0].toUpperCase() + doing.slice(1);
	if (stage === "loading") return `Loading ${model}`;
	if (stage !== "queued") return stage[0].toUpperCase() + stage.slice(1);
	if (!place) return "Waiting";
	return `Waiting, place ${place} in the queue${wait ? `, about ${duration(wait)}` : ""}`;
}

function duration(seconds) {
	if (seconds >= 90) return `${Math.round(seconds / 60)} min`;
	return `${figures.format(seconds < 1 ? seconds : Math.round(seconds))} s`;
}

// --- The thread: a log that stays at its end while the reader is there

const scroll = { isStuck: true, top: 0 };

function watchScrolling() {
	const log = $("log");
	const look = () => {
		const gap = log.scrollHeight - log.clientHeight - log.scrollTop;
		const isUp = log.scrollTop < scroll.top;
		if (gap < 2 || (!isUp && gap < 40)) scroll.isStuck = true;
		else if (isUp) scroll.isStuck = false;
		scroll.top = log.scrollTop;
		change($("newest"), scroll.isStuck || gap < 120, "hidden");
	};
	log.addEventListener("scroll", look, { passive: true });
	const follow = new ResizeObserver(() => (scroll.isStuck ? toNewest() : look()));
	follow.observe($("thread"));
	follow.observe(log);
	$("newest").onclick = () => {
		toNewest();
		focusBox();
	};
}

function toNewest() {
	scroll.isStuck = true;
	$("log").scrollTop = $("log").scrollHeight;
}

const grown = new Set();

/** Draws what has grown, before the next frame, so that the scrolling is part of it, too. */
function drawSoon(view) {
	if (!grown.size) setTimeout(drawGrown);
	grown.add(view);
}

function drawGrown() {
	for (const each of grown) if (each.growing) each.drawGrowing();
	grown.clear();
	if (scroll.isStuck) toNewest();
}

function showTurn(turn) {
	if (!turn.answers.length) turn.growing ??= { stage: "queued", html: [] };
	let view = page.views.get(turn.id);
	if (!view) {
		view = new TurnView();
		page.views.set(turn.id, view);
		const later = [...$("turns").children].find((each) => each.view.turn.number > turn.number);
		$("turns").insertBefore(view.el, later ?? null);
		view.el.previousElementSibling?.view.draw(); // it is not the newest any more
	}
	view.show(turn);
	drawRest();
}

/** What depends on all turns. */
function drawRest() {
	const isBusy = [...page.views.values()].some((view) => view.turn.growing);
	$("log").ariaBusy = String(isBusy);
	drawButtons();
	$("empty").hidden = Boolean(page.id || page.views.size);
	const last = $("turns").lastElementChild?.view.turn;
	const used = last?.answers[last.chosen - 1]?.window_used;
	$("window").hidden = !used;
	$("meter").value = used ?? 0;
	change($("filled"), `${Math.round(used * 100)} % of ${figures.format(page.window)} tokens`);
}

function drawButtons() {
	const isBusy = $("log").ariaBusy === "true";
	const isEmpty = !$("box").value.trim() && !filesHere().length;
	$("stop").hidden = !isBusy;
	$("send").hidden = isBusy && isEmpty;
	$("send").disabled = isEmpty || page.isSending;
}

// --- What a screen reader hears

const STILL_SECONDS = 7;
const spoken = { turn: "", stage: "", at: 0 };

function say(text) {
	$("status").textContent = "";
	$("status").textContent = text;
}

function announce(id, growing) {
	const { stage } = growing;
	const isNew = spoken.turn !== id;
	const isOther = isNew || spoken.stage !== stage;
	const now = performance.now();
	const isSoon = now - spoken.at < STILL_SECONDS * 1000;
	if (isSoon && !isNew && !(isOther && stage === "writing")) return;
	const text = stageText(growing);
	say(isOther ? text : `Still ${text[0].toLowerCase()}${text.slice(1)}`);
	Object.assign(spoken, { turn: id, stage, at: now });
}

function announceEnd({ part, answer }) {
	spoken.turn = "";
	say([part.text.innerText, answer?.note].filter(Boolean).join("\n"));
}

// --- Events

const HIDDEN_SECONDS = 10;
const link = { source: null, seen: new Set(), pause: 0, timer: 0, again: 0, lost: 0 };

const on = {
	chats: ({ chats }) => $("search").value || showList(chats),
	chat(summary) {
		if (!$("search").value || page.summaries.has(summary.id)) page.summaries.set(summary.id, summary);
		if (summary.id === page.id) setCurrent(summary);
		drawList();
	},
	gone({ id }) {
		page.summaries.delete(id);
		drawList();
		if (id === page.id) go("", true);
	},
	turn(turn) {
		link.seen.add(turn.id);
		showTurn(turn);
		if (turn.growing) announce(turn.id, turn.growing);
	},
	grow({ turn: id, from, blocks, ...progress }) {
		const view = page.views.get(id);
		const before = view?.turn.growing;
		if (!before || before.html.length < from) return load(); // something was missed
		const html = [...before.html.slice(0, from), ...blocks];
		view.turn.growing = { ...before, ...progress, html };
		link.seen.add(id);
		drawSoon(view);
		announce(id, view.turn.growing);
	},
};

/** One stream for the list and the open chat; the browser takes it up again by itself. */
function listen() {
	hangUp();
	if (document.hidden) return load(); // a tab that was opened behind this one waits to be seen
	const source = new EventSource(`/page/events${page.id && `?chat=${encoded(page.id)}`}`);
	let isNew = true;
	link.source = source;
	link.seen = new Set();
	link.timer = setTimeout(load, 500); // a proxy may hold the stream back
	source.onopen = () => {
		link.pause = 0;
		tellLost(false);
		if (isNew) load(); // later the server sends what was missed
		isNew = false;
	};
	source.onerror = () => {
		tellLost(true);
		if (source.readyState === EventSource.CLOSED) callAgain();
	};
	for (const [name, handle] of Object.entries(on)) {
		source.addEventListener(name, ({ data }) => source === link.source && handle(JSON.parse(data)));
	}
}

function hangUp() {
	clearTimeout(link.timer);
	clearTimeout(link.again);
	link.source?.close();
	link.source = null;
}

/** The server refused the stream: it starts, or asks who we are, or has no such chat. */
function callAgain() {
	hangUp();
	link.pause = Math.min(link.pause * 2 || 500, 8000);
	link.again = setTimeout(begin, link.pause);
	load();
}

function tellLost(isLost) {
	clearTimeout(link.lost);
	const text = "The connection is lost. This page mends it by itself.";
	if (isLost) link.lost = setTimeout(tell, 1000, "line", text);
	else tell("line", "");
}

/** A tab that nobody sees gives its connection back; browsers have few. */
function followVisibility() {
	let timer = 0;
	document.addEventListener("visibilitychange", () => {
		clearTimeout(timer);
		if (document.hidden) timer = setTimeout(hangUp, HIDDEN_SECONDS * 1000);
		else if (!link.source) begin();
	});
	addEventListener("online", listen);
}

// --- Chats

/** Reads the list and the open chat anew. What events told meanwhile is newer, and stays. */
async function load() {
	const { id } = page;
	const { seen } = link;
	clearTimeout(link.timer);
	try {
		await Promise.all([loadList(), id && loadChat(id, seen)]);
		if ($("line").dataset.loading) tell("line", "");
		delete $("line").dataset.loading;
	} catch (problem) {
		if (!(problem instanceof Problem)) throw problem;
		if (problem.status === 503) { // the model is being loaded
			$("line").dataset.loading = "yes";
			tell("line", problem.message);
			link.timer = setTimeout(load, 1000);
		} else if (problem.status && id === page.id) {
			if (problem.status === 404) go("", true);
			tell("problem", problem.message);
		}
	}
}

async function loadChat(id, seen) {
	const { chat, turns, window } = await call("GET", chatPath(id));
	if (id !== page.id) return;
	page.window = window;
	setCurrent(chat);
	const known = new Set(turns.map((turn) => turn.id));
	for (const [key, view] of page.views) {
		if (known.has(key) || seen.has(key)) continue;
		view.el.remove();
		page.views.delete(key);
	}
	for (const turn of turns) if (!seen.has(turn.id)) showTurn(turn);
	drawRest();
}

const words = () => $("search").value.trim();

async function loadList() {
	const search = words();
	const { chats } = await call("GET", `/page/chats${search && `?search=${encoded(search)}`}`);
	if (search === words()) showList(chats);
}

function showList(chats) {
	page.summaries = new Map(chats.map((chat) => [chat.id, chat]));
	setCurrent(page.summaries.get(page.id) ?? page.current);
	drawList();
}

function drawList() {
	const list = $("list");
	const { id } = list.contains(document.activeElement) ? document.activeElement : {};
	const chats = [...page.summaries.values()].sort((a, b) => (a.last_at < b.last_at ? 1 : -1));
	const nodes = [];
	let day = "";
	for (const chat of chats) {
		if (day !== dayOf(chat)) nodes.push(element("h2", { textContent: day = dayOf(chat) }));
		nodes.push(listItem(chat));
	}
	list.replaceChildren(...nodes);
	if (id) $(id)?.focus();
	const none = words() ? `No chat has “${words()}”.` : "Your chats will stand here.";
	tell("found", chats.length ? "" : none);
	list.hidden = !chats.length;
}

function dayOf({ last_at: at }) {
	const days = Math.ceil((new Date().setHours(0, 0, 0, 0) - new Date(at)) / 86_400_000);
	if (days <= 0) return "Today";
	return days === 1 ? "Yesterday" : days <= 7 ? "This week" : "Earlier";
}

function listItem({ id, title, is_busy: isBusy }) {
	const anchor = element("a", { href: `#${id}`, textContent: title, title, dir: "auto" });
	anchor.dataset.id = id;
	anchor.id = `chat-${id}`;
	if (id === page.id) anchor.ariaCurrent = "page";
	if (isBusy) anchor.append(element("span", { className: "busy", role: "img", ariaLabel: "being answered" }));
	const more = iconButton("more", `More about ${title}`);
	more.dataset.more = id;
	more.id = `more-${id}`;
	return element("div", { className: `item ${id === page.id ? "open" : ""}` }, anchor, more);
}

function setCurrent(summary) {
	page.current = summary;
	const title = summary?.title || "New chat";
	change($("title"), title);
	document.title = summary ? `${title} · Parley` : "Parley";
	$("more").hidden = !summary;
	drawPersonality();
}

/** Shows a chat, or a new one for "". */
function show(id) {
	keepDraft();
	page.id = id;
	page.isNext = false;
	page.views.clear();
	$("turns").replaceChildren();
	tell("problem", "");
	setCurrent(page.summaries.get(id) ?? null);
	scroll.isStuck = true;
	$("box").value = tab.get(draftKey());
	fitBox();
	drawChips();
	drawRest();
	drawList();
	showSide(false);
	if (page.state) listen();
	focusBox();
}

function go(id, isInstead = false) {
	const address = id ? `#${id}` : location.pathname;
	history[isInstead ? "replaceState" : "pushState"](null, "", address);
	show(id);
}

const changeChat = (id, changes) => attempt(async () => {
	on.chat((await call("PATCH", chatPath(id), changes)).chat);
});

const idInAddress = () => location.hash.slice(1);

// --- Personalities

function drawPersonality() {
	if (!page.state) return;
	const name = page.current?.personality || page.picked || page.state.default;
	const { description = "", greeting, suggested_questions: questions = [] } = personalityOf(name) ?? {};
	const picker = $("personality");
	if (![...picker.options].some((each) => each.value === name)) picker.append(new Option(name, name));
	picker.value = name;
	change($("greeting"), greeting || "What can I do for you?");
	change($("described"), description);
	$("suggested").replaceChildren(...questions.map((text) => (
		element("li", {}, element("button", { textContent: text, dir: "auto", onclick: () => send(text) }))
	)));
}

async function pickPersonality() {
	const personality = $("personality").value;
	if (page.id) await changeChat(page.id, { personality });
	else page.picked = personality;
	drawPersonality();
}

// --- The box: text, files, sending

const draftKey = (id = page.id) => `draft:${id}`;
const filesHere = () => page.files.get(page.id) ?? [];
const keepDraft = () => tab.set(draftKey(), $("box").value);

function fitBox(box = $("box")) {
	if (CSS.supports("field-sizing", "content")) return;
	box.style.height = "auto";
	box.style.height = `${box.scrollHeight}px`;
}

/** Where that opens no keyboard over half of the screen. */
function focusBox() {
	if (!phone.matches) $("box").focus({ preventScroll: true });
}

function addFiles(list) {
	const { max_upload: maxSize, max_files: maxCount } = page.state ?? {};
	const files = [...filesHere(), ...list];
	const large = files.filter((file) => file.size > maxSize).map((file) => file.name);
	const fit = files.filter((file) => !(file.size > maxSize));
	page.files.set(page.id, fit.slice(0, maxCount));
	let problem = large.length ? `${large.join(", ")}: a file may have ${sizeText(maxSize)} at most.` : "";
	if (fit.length > maxCount) problem = `At most ${maxCount} files come with one question.`;
	tell("problem", problem);
	drawChips();
	focusBox();
}

const sizeText = (bytes) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${figures.format(bytes / 1e6)} MB`);

function drawChips() {
	const files = filesHere();
	$("chips").replaceChildren(...files.map((file) => {
		const remove = iconButton("close", `Remove ${file.name}`);
		remove.onclick = () => {
			page.files.set(page.id, files.filter((each) => each !== file));
			drawChips();
			focusBox();
		};
		return element("li", {}, element("span", { textContent: file.name }), element("small", { textContent: sizeText(file.size) }), remove);
	}));
	$("chips").hidden = !files.length;
	drawButtons();
}

async function send(text) {
	const { id } = page;
	const files = filesHere();
	if (!(text.trim() || files.length)) return;
	if (page.isSending) {
		page.isNext = text === $("box").value;
		return;
	}
	page.isSending = true;
	drawButtons();
	if (files.length) tell("line", "Sending …");
	const isSent = await attempt(async () => {
		if (!page.state) await begin();
		if (!page.state) throw new Problem(AWAY);
		const question = { text, ...(id ? {} : { personality: $("personality").value }) };
		const body = files.length ? form(question, files) : question;
		const said = await call("POST", chatPath(id || "new", "/turns"), body, keyOf(id, question, files));
		page.unsure = null;
		page.files.set(id, (page.files.get(id) ?? []).filter((file) => !files.includes(file)));
		if (tab.get(draftKey(id)) === text) tab.set(draftKey(id), "");
		if (id !== page.id) return; // the reader is somewhere else by now
		if ($("box").value === text) $("box").value = "";
		fitBox();
		if (!id) enter(said.chat);
		if (!page.views.has(said.turn.id)) showTurn(said.turn);
		toNewest();
	});
	page.isSending = false;
	if (files.length) tell("line", "");
	drawChips();
	focusBox();
	const isNext = isSent && page.isNext;
	page.isNext = false;
	if (isNext) await send($("box").value);
}

/** The new chat becomes one that has begun, with all that came into the box since it was asked. */
function enter(id) {
	const { isNext } = page;
	tab.set(draftKey(id), $("box").value);
	$("box").value = "";
	page.files.set(id, filesHere());
	page.files.delete("");
	go(id, true);
	page.isNext = isNext;
}

/** The same until the question is known to have arrived: so it is asked once. */
function keyOf(...question) {
	const what = JSON.stringify(question, (_, it) => (it instanceof File ? it.name + it.lastModified : it));
	if (page.unsure?.what !== what) page.unsure = { what, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
	return { "Idempotency-Key": page.unsure.key };
}

function form(question, files) {
	const data = new FormData();
	for (const [name, value] of Object.entries(question)) data.append(name, value);
	for (const file of files) data.append("files", file, file.name);
	return data;
}

/** On a phone Enter makes a line; Enter that ends a composition is none. */
function isSending({ key, shiftKey, ctrlKey, metaKey, isComposing, keyCode }) {
	if (key !== "Enter" || shiftKey || isComposing || keyCode === 229) return false;
	return !phone.matches || ctrlKey || metaKey;
}

function prepareBox() {
	const box = $("box");
	box.oninput = () => {
		fitBox();
		keepDraft();
		drawButtons();
	};
	box.onkeydown = (event) => {
		if (isSending(event)) $("ask").onsubmit(event);
	};
	$("ask").onsubmit = (event) => {
		event.preventDefault();
		send(box.value);
	};
	$("stop").onclick = stop;
	$("personality").onchange = pickPersonality;
	$("attach").onclick = () => $("files").click();
	$("files").onchange = () => {
		addFiles($("files").files);
		$("files").value = "";
	};
	box.onpaste = (event) => {
		const { files, types } = event.clipboardData;
		const isText = ["text/plain", "text/html"].every((each) => types.includes(each));
		if (isText || !files.length) return; // cells of a table come as a picture, too
		event.preventDefault();
		addFiles(files);
	};
}

function prepareDrop() {
	const shade = (event, isShown) => {
		if (!event.dataTransfer?.types.includes("Files")) return false;
		event.preventDefault();
		$("drop").hidden = !isShown;
		return true;
	};
	addEventListener("dragover", (event) => shade(event, true));
	addEventListener("dragleave", (event) => event.relatedTarget || shade(event, false));
	addEventListener("drop", (event) => shade(event, false) && addFiles(event.dataTransfer.files));
}

function stop() {
	for (const { turn } of page.views.values()) if (turn.growing) order(turn, "stop");
}

// --- What the buttons of a turn do

/** What was pressed is gone then, and the focus would be nowhere. */
const order = (turn, what) => attempt(() => call("POST", turnPath(turn, what))).then(focusBox);

const acts = {
	edit: editQuestion,
	retry: ({ turn }) => order(turn, "retry"),
	continue: ({ turn }) => order(turn, "continue"),
	before: (view) => leaf(view, view.shown - 1),
	after: (view) => leaf(view, view.shown + 1),
	good: (view) => rate(view, 1),
	bad: (view) => rate(view, -1),
	copy: copyAnswer,
};

const leaf = (view, number) => attempt(async () => {
	const { turn } = view;
	const answer = turn.answers[number - 1];
	if (answer && !answer.html) await view.read(answer);
	if (answer && !turn.growing) {
		await call("PUT", turnPath(turn, "answer"), { number });
		turn.chosen = number;
	}
	view.shown = number;
	view.draw();
	const { before, after } = view.part;
	if (before.disabled) after.focus();
	if (after.disabled) before.focus();
});

const rate = (view, wanted) => attempt(async () => {
	const { turn, answer } = view;
	const rating = answer.rating === wanted ? 0 : wanted;
	await call("PUT", turnPath(turn, "rating"), { rating });
	answer.rating = rating;
	view.draw();
});

async function copyAnswer({ turn, shown, part }, button) {
	const said = await call("GET", turnPath(turn, `answers/${shown}?as=markdown`)).catch(() => null);
	copy(said?.reply || part.text.innerText, button);
}

async function copy(text, button) {
	try {
		await navigator.clipboard.writeText(text);
	} catch {
		copyAsOfOld(text);
	}
	button.classList.add("done");
	say("Copied");
	setTimeout(() => button.classList.remove("done"), 2000);
}

/** Without a secure context, on a network of one's own. */
function copyAsOfOld(text) {
	const field = element("textarea", { value: text, className: "unseen" });
	const focused = document.activeElement;
	document.body.append(field);
	field.select();
	document.execCommand("copy");
	field.remove();
	focused.focus();
}

function editQuestion({ el, part, turn }) {
	const editor = $("editor").content.firstElementChild.cloneNode(true);
	const box = editor.querySelector("textarea");
	const leave = () => {
		editor.remove();
		el.classList.remove("editing");
		part.edit.focus();
	};
	box.value = part.question.textContent;
	box.oninput = () => fitBox(box);
	if (el.nextElementSibling) editor.querySelector(".hint").textContent = "Goes on in a new chat";
	editor.querySelector("[data-leave]").onclick = leave;
	editor.onkeydown = (event) => {
		if (event.key === "Escape") leave();
		else if (event.target === box && isSending(event)) editor.onsubmit(event);
	};
	editor.onsubmit = (event) => {
		event.preventDefault();
		if (box.value.trim()) attempt(async () => {
			const { chat } = await call("PUT", turnPath(turn, "question"), { text: box.value });
			leave();
			focusBox();
			if (chat !== page.id) go(chat);
		});
	};
	el.classList.add("editing");
	part.question.after(editor);
	fitBox(box);
	box.focus();
}

function prepareThread() {
	page.near = new IntersectionObserver((found) => {
		for (const { isIntersecting, target } of found) if (isIntersecting) attempt(() => target.view.read());
	}, { root: $("log"), rootMargin: "800px" });
	$("turns").onclick = ({ target }) => {
		const button = target.closest("button");
		const { view } = target.closest(".turn") ?? {};
		if (button?.matches(".copy")) copy(button.parentNode.querySelector("pre").textContent, button);
		else if (button?.dataset.do) acts[button.dataset.do](view, button);
	};
}

// --- The side list, its menu and dialogs

/** On a phone the list lies over the thread. */
function showSide(isShown) {
	const isOver = isShown && narrow.matches;
	const wasOver = root.classList.contains("side-over");
	root.classList.toggle("side-over", isOver);
	$("main").inert = isOver;
	$("shade").hidden = !isOver;
	$("show-side").ariaExpanded = String(isOver);
	if (isOver) $("new").focus();
	else if (wasOver) $("show-side").focus();
}

/** Opens a dialog; true once its main button was pressed. */
function confirmed(dialog) {
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) => {
		dialog.onclose = () => resolve(dialog.returnValue === "yes");
	});
}

const menu = {
	async rename(chat) {
		const input = $("new-title");
		input.value = chat.title;
		const answer = confirmed($("renaming"));
		input.select();
		if (!await answer) return;
		await changeChat(chat.id, { title: input.value.trim() });
	},
	async forget(chat) {
		$("forgotten").textContent = chat.title;
		if (!await confirmed($("forgetting"))) return;
		await attempt(async () => {
			await call("DELETE", chatPath(chat.id));
			on.gone(chat);
			tab.set(draftKey(chat.id), "");
			say("Forgotten");
		});
		focusBox();
	},
};

function openMenu(id, button) {
	const box = $("menu");
	const chat = page.summaries.get(id) ?? page.current;
	for (const each of box.children) {
		const { menu: what } = each.dataset;
		if (each.href !== undefined) each.href = chatPath(id, `/export?format=${what}`);
		each.onclick = () => {
			box.hidePopover();
			menu[what]?.(chat);
		};
	}
	box.showPopover({ source: button });
	const { left, top, bottom } = button.getBoundingClientRect();
	const { offsetHeight: height, offsetWidth: width } = box;
	box.style.top = `${bottom + height + 8 < innerHeight ? bottom + 4 : top - height - 4}px`;
	box.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
}

function prepareSide() {
	let timer = 0;
	$("show-side").onclick = () => showSide(true);
	$("hide-side").onclick = $("shade").onclick = narrow.onchange = () => showSide(false);
	$("new").onclick = () => go("");
	$("search").oninput = () => {
		clearTimeout(timer);
		timer = setTimeout(load, 150);
	};
	$("list").onclick = (event) => {
		const { id, more } = event.target.closest("a, button")?.dataset ?? {};
		if (more) openMenu(more, event.target.closest("button"));
		if (!id || event.ctrlKey || event.metaKey || event.shiftKey) return;
		event.preventDefault();
		if (id === page.id) showSide(false);
		else go(id);
	};
	$("more").onclick = () => openMenu(page.id, $("more"));
	$("import").onclick = () => $("import-file").click();
	$("import-file").onchange = () => attempt(async () => {
		const { chat } = await call("POST", "/page/chats/import", $("import-file").files[0]);
		on.chat(chat);
		go(chat.id);
	}).finally(() => {
		$("import-file").value = "";
	});
	$("theme").onclick = switchTheme;
	for (const button of document.querySelectorAll("[data-close]")) {
		button.onclick = () => button.closest("dialog").close();
	}
}

function switchTheme() {
	const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
	root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
	local.set("theme", root.dataset.theme);
}

// --- Keys

const control = navigator.platform.startsWith("Mac") ? "⌘" : "Ctrl";
const held = (event) => (event.metaKey || event.ctrlKey) && !event.altKey;
const alone = (event) => event.altKey && !event.ctrlKey && !event.metaKey && !event.target.value;
const inText = (target) => target.closest("textarea, input, select");

const shortcuts = [
	["Enter", "Send"],
	["Shift Enter", "A new line"],
	[`${control} Shift O`, "New chat", (e) => held(e) && e.shiftKey && e.code === "KeyO", () => go("")],
	[`${control} K`, "Search your chats", (e) => held(e) && !e.shiftKey && e.code === "KeyK", toSearch],
	["Shift Esc", "Go to the box", (e) => e.shiftKey && e.key === "Escape", () => $("box").focus()],
	[`${control} .`, "Stop the answer", (e) => held(e) && e.key === ".", stop],
	["Alt ↑", "The chat above", (e) => alone(e) && e.key === "ArrowUp", () => step(-1)],
	["Alt ↓", "The chat below", (e) => alone(e) && e.key === "ArrowDown", () => step(1)],
	["?", "These shortcuts", (e) => e.key === "?" && !inText(e.target), () => $("shortcuts").showModal()],
];

function toSearch() {
	showSide(true);
	$("search").select();
}

function step(by) {
	const ids = [...$("list").querySelectorAll("a")].map((each) => each.dataset.id);
	const next = ids[page.id ? ids.indexOf(page.id) + by : 0];
	if (next) go(next);
}

function prepareKeys() {
	$("shortcut-list").replaceChildren(...shortcuts.flatMap(([keys, what]) => [
		element("dt", {}, ...keys.split(" ").map((key) => element("kbd", { textContent: key }))),
		element("dd", { textContent: what }),
	]));
	$("keys").onclick = () => $("shortcuts").showModal();
	addEventListener("keydown", (event) => {
		if (event.isComposing || document.querySelector("dialog[open]")) return;
		if (event.key === "Escape") showSide(false);
		const [, , , run] = shortcuts.find(([, , is]) => is?.(event)) ?? [];
		if (!run) return;
		event.preventDefault();
		run();
	});
}

// --- Who asks

function signIn() {
	hangUp();
	if (!$("signing-in").open) $("signing-in").showModal();
}

function prepareSignIn() {
	const dialog = $("signing-in");
	dialog.oncancel = (event) => event.preventDefault();
	dialog.querySelector("form").onsubmit = async (event) => {
		event.preventDefault();
		try {
			await call("POST", "/page/sign-in", { key: $("key").value });
			$("key").value = "";
			tell("refused", "");
			dialog.close();
			await begin();
		} catch (problem) {
			tell("refused", problem.message);
			$("key").select();
		}
	};
	$("leave").onclick = () => attempt(async () => {
		await call("POST", "/page/sign-out");
		location.replace("/");
	});
}

let beginning = null;

/** Asked for twice at once, it is done once: the first answer makes the browser known. */
function begin() {
	beginning ??= readState().finally(() => {
		beginning = null;
	});
	return beginning;
}

/** Who asks, and what there is to choose from; then all the rest. */
async function readState() {
	try {
		page.state = await call("GET", "/page/state");
	} catch (problem) {
		if (problem.status === 401) return;
		tellLost(true);
		return callAgain();
	}
	const { owner, notice, can_sign_out: canLeave, personalities } = page.state;
	$("owner").textContent = owner.name;
	$("leave").hidden = !canLeave;
	$("admin").hidden = !page.state.is_admin;
	$("notice").textContent = notice;
	$("personality").replaceChildren(...personalities.map(({ name, title }) => new Option(title, name)));
	drawPersonality();
	listen();
}

document.addEventListener("DOMContentLoaded", () => {
	for (const part of [document, $("turn").content]) drawIcons(part);
	watchScrolling();
	prepareBox();
	prepareDrop();
	prepareThread();
	prepareSide();
	prepareKeys();
	prepareSignIn();
	followVisibility();
	addEventListener("popstate", () => show(idInAddress()));
	page.id = idInAddress();
	$("box").value = tab.get(draftKey());
	show(page.id);
	begin();
});
