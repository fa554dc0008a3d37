// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the page up to date: fetches the same page as HTML and changes what differs in
// place, so that focus, selection and scrolling stay. The server writes all the words.
"use strict";
(() => {
	const EVERY_MS = 2000, SLOWEST_MS = 60000;
	const root = document.documentElement, main = document.querySelector("main");
	let etag = null, wait_ms = EVERY_MS, timer = 0, answered = Date.now();

	// --- the theme: what the system says, until somebody chooses -----------------------
	const theme = document.getElementById("theme");
	const themes = ["auto", "dark", "light"];
	const stored = () => {
		try {
			return localStorage.getItem("conntide-theme") || "auto";
		} catch (error) {
			return "auto";
		}
	};
	const show_theme = (name) => {
		if (name === "auto")
			delete root.dataset.theme;
		else
			root.dataset.theme = name;
		theme.textContent = `Theme: ${name}`;
	};
	let chosen = stored();
	root.classList.add("js");
	show_theme(chosen);
	theme.addEventListener("click", () => {
		chosen = themes[(themes.indexOf(chosen) + 1) % themes.length];
		try {
			localStorage.setItem("conntide-theme", chosen);
		} catch (error) {
			// Not kept, but in force.
		}
		show_theme(chosen);
	});

	// --- the same tree again: only what differs is touched -----------------------------
	const selected = (node) => {
		const selection = getSelection();
		return !selection.isCollapsed && selection.containsNode(node, true) &&
			!node.parentElement.closest("#band");
	};
	const same_kind = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName &&
		(a.id || "") === (b.id || "");
	const morph_attributes = (old, now) => {
		for (const { name } of [...old.attributes])
			if (!now.hasAttribute(name) && name !== "open")
				old.removeAttribute(name);
		for (const { name, value } of now.attributes)
			if (old.getAttribute(name) !== value && name !== "open")
				old.setAttribute(name, value);
	};
	const morph = (old, now) => {
		if (old.nodeType !== Node.ELEMENT_NODE) {
			if (old.data !== now.data && !selected(old))
				old.data = now.data;
			return;
		}
		if (old.hasAttribute("data-keep"))
			return;
		morph_attributes(old, now);
		morph_children(old, now);
	};
	// What is read, typed or selected in must not be taken out, not even to be moved.
	const in_use = (node) => node.contains(document.activeElement) ||
		(!getSelection().isCollapsed && getSelection().containsNode(node, true));
	const next_like = (at, child) => {
		for (let one = at; one; one = one.nextSibling)
			if (same_kind(one, child))
				return one;
		return null;
	};
	const morph_children = (old, now) => {
		const ids = new Set([...now.children].map((one) => one.id));
		let at = old.firstChild;
		for (const one of [...old.children])
			if (one.id && !ids.has(one.id) && !one.hasAttribute("data-keep")) {
				at = at === one ? one.nextSibling : at;
				one.remove();
			}
		for (const child of [...now.childNodes]) {
			const match = child.nodeType === Node.ELEMENT_NODE ? next_like(at, child)
				: at && same_kind(at, child) ? at : null;
			if (!match) {
				old.insertBefore(document.importNode(child, true), at);
				continue;
			}
			if (match !== at && in_use(match)) {
				// The others go behind it; they are found there again.
				while (at !== match) {
					const next = at.nextSibling;
					old.insertBefore(at, match.nextSibling);
					at = next;
				}
			}
			if (match === at)
				at = at.nextSibling;
			else
				old.insertBefore(match, at);
			morph(match, child);
		}
		while (at) {
			const next = at.nextSibling;
			if (!(at.nodeType === Node.ELEMENT_NODE && at.hasAttribute("data-keep")))
				at.remove();
			at = next;
		}
	};

	// --- asking -------------------------------------------------------------------------
	const trouble = document.getElementById("trouble");
	const say_trouble = (text) => {
		if (trouble.textContent !== text)
			trouble.textContent = text;
		trouble.hidden = !text;
	};
	const update = async () => {
		const headers = { Accept: "text/html" };
		if (etag)
			headers["If-None-Match"] = etag;
		const reply = await fetch("?chart=0", { headers, cache: "no-store" });
		if (reply.status === 200) {
			const text = await reply.text();
			const page = new DOMParser().parseFromString(text, "text/html");
			etag = reply.headers.get("ETag");
			morph(main, page.querySelector("main"));
			document.title = page.title;
		} else if (reply.status !== 304) {
			throw new Error(`HTTP ${reply.status}`);
		}
	};
	const run = async () => {
		clearTimeout(timer);
		if (document.hidden)
			return;
		try {
			await update();
			// Without current numbers, of which the page has told, there is no chart either.
			if (!document.getElementById("no-numbers"))
				await window.conntide_chart.update();
			answered = Date.now();
			wait_ms = EVERY_MS;
			say_trouble("");
		} catch (error) {
			const old_s = Math.round((Date.now() - answered) / 1000);
			say_trouble(`No answer from the exporter (${error.message}): ` +
				`what stands here is ${old_s} s old.`);
			wait_ms = Math.min(wait_ms * 2, SLOWEST_MS);
		}
		timer = setTimeout(run, wait_ms);
	};
	document.addEventListener("visibilitychange", run);

	// --- commands to copy ---------------------------------------------------------------
	const said = document.getElementById("said");
	main.addEventListener("click", async (event) => {
		const button = event.target.closest("button.copy");
		if (!button)
			return;
		const text = button.parentElement.querySelector("code").textContent;
		try {
			await navigator.clipboard.writeText(text);
			said.textContent = "Copied.";
		} catch (error) {
			// Over plain HTTP there is no clipboard: select it, so that a key does it.
			getSelection().selectAllChildren(button.parentElement.querySelector("code"));
			said.textContent = "Selected: copy it with Ctrl+C.";
		}
	});

	window.conntide_start = () => {
		timer = setTimeout(run, 0);
	};
})();
