// SPDX-License-Identifier: GPL-2.0-or-later
// The chart: entries stacked by port or by state, the limit and the forecast on the same
// axes, losses below. Plain SVG; its data are those of /api/v1.
//
// No chart library: dygraphs is in Debian but not in the distributions that the RPM is for, draws on
// a canvas, which is empty for a screen reader, and is nine times as large as this file.
"use strict";
(() => {
	const NS = "http://www.w3.org/2000/svg";
	const SPANS = [
		// name, seconds back, seconds ahead
		["5 min", 300, 120], ["15 min", 900, 600], ["1 h", 3600, 3600], ["24 h", 86400, 3600],
	];
	const LEFT = 64, RIGHT = 12, TOP = 18, BOTTOM = 22, LOSSES = 36, COLUMNS = 300, SERIES = 5;
	const box = document.getElementById("chart");
	const data = { seconds: [], minutes: [], states: [], state_minutes: [], forecast: null };
	const view = { span: 1, by: "port", zoom: null, cursor: null, drag: null };
	let drawn = null, minutes_at = 0;

	const make = (name, attributes, parent) => {
		const element = document.createElementNS(NS, name);
		for (const key in attributes)
			element.setAttribute(key, attributes[key]);
		if (parent)
			parent.append(element);
		return element;
	};
	const html = (name, text, parent, attributes) => {
		const element = document.createElement(name);
		element.textContent = text;
		for (const key in attributes)
			element.setAttribute(key, attributes[key]);
		parent.append(element);
		return element;
	};

	// --- the frame ----------------------------------------------------------------------
	const bar = html("div", "", box, { class: "bar", role: "group", "aria-label": "Chart" });
	const buttons = [];
	const choice = (text, pressed, act) => {
		const button = html("button", text, bar, { type: "button" });
		button.addEventListener("click", () => {
			act();
			view.zoom = null;
			press();
			update(true).catch(() => {});
		});
		buttons.push([button, pressed]);
	};
	const press = () => {
		for (const [button, pressed] of buttons)
			button.setAttribute("aria-pressed", String(pressed()));
		back.hidden = !view.zoom;
	};
	SPANS.forEach(([name], i) => choice(name, () => view.span === i, () => {
		view.span = i;
	}));
	for (const by of ["port", "state"])
		choice(`by ${by}`, () => view.by === by, () => {
			view.by = by;
		});
	const back = html("button", "whole span", bar, { type: "button" });
	back.addEventListener("click", () => {
		view.zoom = null;
		press();
		draw();
	});
	const svg = make("svg", { role: "img", tabindex: "0",
		"aria-label": "Entries over time, with the limit and the forecast. " +
			"Arrow keys move the reading; drag over a part to enlarge it." }, box);
	const reading = html("output", "", box);
	const legend = html("ul", "", box, { class: "legend" });
	press();

	// --- data ---------------------------------------------------------------------------
	const ask = async (path) => {
		const reply = await fetch(`api/v1/${path}`, { cache: "no-store" });
		if (!reply.ok)
			throw new Error(`HTTP ${reply.status}`);
		return reply.json();
	};
	// Those after what is known, of the span that is shown; older ones go.
	const more = async (name, path, keep_s, want_s) => {
		const have = data[name], now = Date.now() / 1000;
		const covers = have.length && have.since <= now - want_s + 2;
		const since = covers ? have[have.length - 1].timestamp_seconds
			: Math.floor(now - want_s);
		const rows = await ask(`${path}since=${since}`);
		const all = covers ? have.concat(rows) : rows;
		const first = all.findIndex((row) => row.timestamp_seconds > now - keep_s);
		data[name] = first > 0 ? all.slice(first) : all;
		data[name].since = covers ? have.since : since;
	};
	const update = async (force) => {
		const [, back_s] = SPANS[view.span], now = Date.now();
		const due = force || now - minutes_at > 60000;
		if (back_s <= 3600)
			await more("seconds", "history?", 3700, back_s);
		else if (due)
			await more("minutes", "history?resolution=1m&", 90000, back_s);
		if (view.by === "state" && back_s <= 900)
			await more("states", "history/states?", 960, back_s);
		else if (view.by === "state" && due)
			await more("state_minutes", "history/states?resolution=1m&", 5760, 5760);
		if (due)
			minutes_at = now;
		data.forecast = await ask("forecast");
		box.hidden = false;
		draw();
	};

	// --- what is drawn ------------------------------------------------------------------
	// The number of a protocol without a name stands for its port; some have none (port_name.h).
	const port_name = (top) => (top.l4proto === "other" ? `protocol ${top.port}`
		: ["icmp", "icmpv6", "gre"].includes(top.l4proto) ? top.l4proto
			: `${top.l4proto}/${top.port}`) + ` ${top.direction}`;
	// Of a row: what it is made of, by name.
	const parts = (row) => {
		if (row.states)
			return Object.entries(row.states);
		return row.top_ports.map((top) => [port_name(top), top.entries]);
	};
	const rows_shown = () => {
		const [, back_s] = SPANS[view.span];
		if (view.by === "state")
			return back_s <= 900 ? data.states : data.state_minutes;
		return back_s <= 3600 ? data.seconds : data.minutes;
	};
	// One point a column: the sample with most entries, and the sum of what was lost.
	const columns = (rows, from, to) => {
		const out = [];
		const width = (to - from) / COLUMNS;
		let at = -1;
		for (const row of rows) {
			const t = row.timestamp_seconds;
			if (t < from || t > to)
				continue;
			const column = Math.floor((t - from) / width);
			const lost = (row.dropped || 0) + (row.evicted || 0);
			if (column !== at) {
				out.push({ t, row, lost, seconds: 1 });
			} else {
				const last = out[out.length - 1];
				last.lost += lost;
				last.seconds++;
				if (row.entries >= last.row.entries)
					Object.assign(last, { t, row });
			}
			at = column;
		}
		return out;
	};
	const largest = (points) => {
		const most = new Map();
		for (const { row } of points)
			for (const [name, entries] of parts(row))
				most.set(name, Math.max(most.get(name) || 0, entries));
		return [...most].sort((a, b) => b[1] - a[1]).slice(0, SERIES).map(([name]) => name);
	};
	const nice = (most) => {
		const raw = most / 4, power = 10 ** Math.floor(Math.log10(raw || 1));
		return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= raw) || power;
	};
	const clock = (t, seconds) => new Date(t * 1000).toLocaleTimeString([], { hour: "2-digit",
		minute: "2-digit", second: seconds ? "2-digit" : undefined, hour12: false });

	const window_shown = () => {
		const [, back_s, ahead_s] = SPANS[view.span], now = Date.now() / 1000;
		return view.zoom || [now - back_s, now + ahead_s];
	};
	const draw = () => {
		const [from, to] = window_shown(), now = Date.now() / 1000;
		const width = Math.max(svg.clientWidth, 200), height = Math.max(svg.clientHeight, 160);
		const rows = rows_shown(), points = columns(rows, from, to), names = largest(points);
		const horizons = (data.forecast.horizons || []).filter((h) => now + h.seconds <= to + 1);
		// A forecast that cannot say anything yet knows no limit; the samples do.
		const limit = data.forecast.limit ? data.forecast.limit.entries
			: rows.length ? rows[rows.length - 1].max || 0 : 0;
		let most = 10;
		for (const { row } of points)
			most = Math.max(most, row.entries);
		for (const horizon of horizons)
			most = Math.max(most, horizon.p90);
		if (limit && limit < 4 * most)
			most = Math.max(most, limit);
		most *= 1.06;
		const floor = height - BOTTOM - LOSSES;
		const x = (t) => LEFT + (t - from) / (to - from) * (width - LEFT - RIGHT);
		const y = (n) => floor - n / most * (floor - TOP);
		svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
		svg.replaceChildren();
		drawn = { x, y, from, to, points, names, width, height, floor, now };
		draw_axes(most, limit);
		draw_stack();
		draw_forecast(horizons);
		draw_losses();
		draw_legend();
		draw_cursor();
	};
	const draw_axes = (most, limit) => {
		const { x, y, from, to, width, height, floor } = drawn, step = nice(most);
		for (let n = 0; n <= most; n += step) {
			make("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(n), y2: y(n) }, svg);
			make("text", { x: LEFT - 6, y: y(n) + 4, "text-anchor": "end" }, svg)
				.textContent = String(n);
		}
		make("text", { x: 2, y: 12 }, svg).textContent = "entries";
		const every = [15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600]
			.find((s) => (to - from) / s <= width / 90) || 21600;
		const zone = new Date().getTimezoneOffset() * 60;
		for (let t = Math.ceil((from - zone) / every) * every + zone; t < to; t += every)
			make("text", { x: x(t), y: height - 6, "text-anchor": "middle" }, svg)
				.textContent = clock(t, every < 60);
		if (limit && limit <= most) {
			make("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(limit),
				y2: y(limit) }, svg);
			make("text", { x: LEFT + 4, y: y(limit) - 4 }, svg).textContent = `limit ${limit}`;
		}
		make("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: floor + LOSSES,
			y2: floor + LOSSES }, svg);
	};
	// Runs without a hole: what nobody counted is not drawn.
	const runs = (points) => {
		const { from, to } = drawn, hole = Math.max(3 * (to - from) / COLUMNS, 150);
		const out = [];
		let last = null;
		for (const point of points) {
			if (!last || point.t - last.t > hole)
				out.push([]);
			out[out.length - 1].push(point);
			last = point;
		}
		return out;
	};
	const draw_stack = () => {
		const { x, y, names } = drawn;
		for (const run of runs(drawn.points)) {
			let below = run.map(() => 0);
			const layer = (take, kind) => {
				const above = run.map((point, i) => below[i] + take(point));
				const edge = run.map((point, i) => `${x(point.t)},${y(above[i])}`);
				const floor = run.map((point, i) => `${x(point.t)},${y(below[i])}`).reverse();
				make("polygon", { class: `area f${kind}`,
					points: edge.concat(floor).join(" ") }, svg);
				below = above;
			};
			names.forEach((name, i) => layer(({ row }) => {
				const part = parts(row).find(([one]) => one === name);
				return part ? part[1] : 0;
			}, i));
			layer(({ row }) => Math.max(0, row.entries - parts(row).reduce((sum, [name, n]) =>
				names.includes(name) ? sum + n : sum, 0)), 5);
			make("polyline", { class: "total", points: run.map(({ t, row }) =>
				`${x(t)},${y(row.entries)}`).join(" ") }, svg);
		}
	};
	const draw_forecast = (horizons) => {
		const { x, y, points, now, to } = drawn, last = points[points.length - 1];
		if (!horizons.length || !last || now > to)
			return;
		const start = `${x(now)},${y(last.row.entries)}`;
		const at = (name) => horizons.map((h) => `${x(now + h.seconds)},${y(h[name])}`);
		make("polygon", { class: "fan", points: [start, ...at("p90"), ...at("p10").reverse()]
			.join(" ") }, svg);
		make("polyline", { class: "likely", points: [start, ...at("p50")].join(" ") }, svg);
		make("line", { class: "axis", x1: x(now), x2: x(now), y1: TOP, y2: drawn.floor }, svg);
		make("text", { x: x(now) + 4, y: TOP + 8 }, svg).textContent = "forecast";
	};
	const draw_losses = () => {
		const { x, points, floor } = drawn;
		const most = points.reduce((max, point) => Math.max(max, point.lost), 0);
		for (const point of points)
			if (point.lost)
				make("rect", { class: "lost", x: x(point.t) - 1, width: 2.5,
					y: floor + LOSSES - Math.max(2, point.lost / most * (LOSSES - 8)),
					height: Math.max(2, point.lost / most * (LOSSES - 8)) }, svg);
		make("text", { x: LEFT - 6, y: floor + LOSSES, "text-anchor": "end" }, svg)
			.textContent = "losses";
	};
	const draw_legend = () => {
		const wanted = [...drawn.names, "others"];
		const have = [...legend.children].map((one) => one.textContent);
		if (wanted.join() === have.join())
			return;
		legend.replaceChildren();
		wanted.forEach((name, i) => {
			const item = html("li", "", legend);
			const key = make("svg", { class: "key", viewBox: "0 0 10 10", "aria-hidden": "true" },
				item);
			make("rect", { class: `f${name === "others" ? 5 : i}`, width: 10, height: 10 }, key);
			item.append(name);
		});
	};
	// --- reading ------------------------------------------------------------------------
	const nearest = (t) => drawn.points.reduce((best, point) =>
		!best || Math.abs(point.t - t) < Math.abs(best.t - t) ? point : best, null);
	const draw_cursor = () => {
		const point = view.cursor === null ? null : nearest(view.cursor);
		for (const old of svg.querySelectorAll(".cross,.zoom"))
			old.remove();
		if (view.drag && view.drag[1] !== null) {
			const [a, b] = view.drag.map(drawn.x).sort((m, n) => m - n);
			make("rect", { class: "zoom", x: a, y: TOP, width: b - a,
				height: drawn.floor - TOP }, svg);
		}
		if (!point) {
			reading.textContent = "";
			return;
		}
		make("line", { class: "cross", x1: drawn.x(point.t), x2: drawn.x(point.t), y1: TOP,
			y2: drawn.floor + LOSSES }, svg);
		const told = parts(point.row).filter(([name]) => drawn.names.includes(name))
			.map(([name, entries]) => `${name} ${entries}`);
		if (point.lost)
			told.push(`lost ${point.lost}`);
		reading.textContent = `${clock(point.t, true)}: ${point.row.entries} entries; ` +
			told.join(", ");
	};
	const time_at = (event) => {
		const where = svg.getBoundingClientRect(), { from, to, width } = drawn;
		const share = (event.clientX - where.left - LEFT) / (width - LEFT - RIGHT);
		return from + Math.min(1, Math.max(0, share)) * (to - from);
	};
	svg.addEventListener("pointermove", (event) => {
		if (!drawn)
			return;
		view.cursor = time_at(event);
		if (view.drag)
			view.drag[1] = view.cursor;
		draw_cursor();
	});
	svg.addEventListener("pointerleave", () => {
		view.cursor = null;
		if (drawn)
			draw_cursor();
	});
	svg.addEventListener("pointerdown", (event) => {
		if (drawn)
			view.drag = [time_at(event), null];
	});
	addEventListener("pointerup", () => {
		const drag = view.drag;
		view.drag = null;
		if (!drag || drag[1] === null || Math.abs(drag[1] - drag[0]) < 5)
			return;
		view.zoom = drag.sort((a, b) => a - b);
		press();
		draw();
	});
	svg.addEventListener("dblclick", () => back.click());
	svg.addEventListener("keydown", (event) => {
		const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
		if (!drawn || !drawn.points.length || (!step && event.key !== "Escape"))
			return;
		event.preventDefault();
		if (!step) {
			view.cursor = null;
			back.click();
			return;
		}
		const at = view.cursor === null ? drawn.points.length
			: drawn.points.indexOf(nearest(view.cursor));
		view.cursor = drawn.points[Math.min(drawn.points.length - 1, Math.max(0, at + step))].t;
		draw_cursor();
	});
	addEventListener("resize", () => {
		if (drawn)
			draw();
	});

	window.conntide_chart = { update };
	window.conntide_start();
})();
