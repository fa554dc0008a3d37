// SPDX-License-Identifier: GPL-2.0-or-later
// Opens pages in Debian's Chromium as the steps on standard input say, one JSON object a line,
// and answers each with one line of JSON. What the browser complains about is in the answer.
//
//	{"open": URL, "width": 1280, "height": 900, "dark": false, "script": true}
//	{"shot": PATH}	{"axe": true}	{"run": "JavaScript that returns a value, maybe later"}
//	{"hover": [X, Y]}	{"key": "ArrowLeft"}	{"click": SELECTOR}
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const modules = path.join(process.argv[2], "node_modules");
const puppeteer = require(path.join(modules, "puppeteer-core"));

let browser = null, page = null, told = null;

async function open(step) {
	if (page)
		await page.close();
	page = await browser.newPage();
	told = { console: [], requests: [], failed: [] };
	const mine = told;
	page.on("console", (message) => {
		if (message.type() === "error" || message.type() === "warn")
			mine.console.push(message.text());
	});
	page.on("pageerror", (error) => mine.console.push(String(error)));
	page.on("request", (request) => mine.requests.push(request.url()));
	// A 304 to a script that asked with If-None-Match has no body, and counts as aborted.
	page.on("requestfailed", (request) => {
		if (!request.response() || request.response().status() !== 304)
			mine.failed.push(`${request.url()} ${request.failure().errorText}`);
	});
	await page.setViewport({ width: step.width || 1280, height: step.height || 900 });
	await page.setJavaScriptEnabled(step.script !== false);
	await page.emulateMediaFeatures([{ name: "prefers-color-scheme",
		value: step.dark ? "dark" : "light" }]);
	await page.goto(step.open, { waitUntil: "load" });
	return { title: await page.title() };
}

async function axe() {
	// By the protocol of the debugger: the page's own policy lets no other script in.
	await page.evaluate(fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8"));
	const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
	return { violations: found.violations.map((one) => ({ id: one.id, impact: one.impact,
		where: one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)) })) };
}

async function act(step) {
	if (step.open)
		return open(step);
	if (step.shot) {
		await page.screenshot({ path: step.shot, fullPage: step.full !== false });
		return {};
	}
	if (step.axe)
		return axe();
	if (step.run)
		return { value: await page.evaluate(`(async () => {${step.run}})()`) };
	if (step.hover) {
		await page.mouse.move(...step.hover);
		return {};
	}
	if (step.drag) {
		await page.mouse.move(step.drag[0], step.drag[1]);
		await page.mouse.down();
		await page.mouse.move(step.drag[2], step.drag[3], { steps: 5 });
		await page.mouse.up();
		return {};
	}
	if (step.click)
		await page.click(step.click);
	if (step.key)
		await page.keyboard.press(step.key);
	return {};
}

(async () => {
	browser = await puppeteer.launch({ executablePath: "/usr/bin/chromium", headless: true,
		args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
			"--disable-background-networking"] });
	for await (const line of readline.createInterface({ input: process.stdin })) {
		let answer;
		try {
			answer = await act(JSON.parse(line));
		} catch (error) {
			answer = { error: String(error) };
		}
		process.stdout.write(`${JSON.stringify({ ...answer, ...told })}\n`);
	}
	await browser.close();
})();
