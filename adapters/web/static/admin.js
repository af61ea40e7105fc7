"use strict";
// Keeps the admin's view up to date while somebody looks at it.

const EVERY = 5000; // milliseconds
try {
	const theme = localStorage.getItem("theme");
	if (theme) document.documentElement.dataset.theme = theme;
} catch { /* a browser may refuse */ }

async function refresh() {
	if (document.hidden) return;
	try {
		const answer = await fetch("/admin", { headers: { Accept: "text/html" } });
		const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
		if (!answer.ok) document.querySelector("main").replaceWith(fresh.querySelector("main"));
		for (const section of fresh.querySelectorAll("section")) {
			const old = document.getElementById(section.id);
			if (old && !old.isEqualNode(section)) old.replaceWith(section);
		}
	} catch {
		const told = document.getElementById("as-of");
		if (told) told.textContent = "Parley cannot be reached just now; these figures are older.";
	}
}

setInterval(refresh, EVERY);
addEventListener("visibilitychange", refresh);
