// SPDX-License-Identifier: GPL-2.0-or-later
// Objects of Kubernetes as a JSON array on standard input, each checked against the schema of its
// kind. Says what is wrong, a line each; exit status 1 then.
import { readFileSync } from "node:fs";

async function kindOf(object) {
	const base = object.apiVersion.startsWith("monitoring.coreos.com/")
		? "@kubernetes-models/prometheus-operator" : "kubernetes-models";
	const models = await import(`${base}/${object.apiVersion}`);
	if (!models[object.kind])
		throw new Error("no such kind");
	return models[object.kind];
}

let wrong = 0;
for (const object of JSON.parse(readFileSync(0, "utf8"))) {
	try {
		const Kind = await kindOf(object);
		new Kind(object).validate();
	} catch (error) {
		console.log(`${object.kind} ${object.metadata && object.metadata.name}: ${error.message}`);
		wrong++;
	}
}
process.exit(wrong ? 1 : 0);
