// SPDX-License-Identifier: GPL-2.0-or-later
/* openapi.json, written from the table of routes. */
#include <ctype.h>
#include <string.h>

#include "exporters/advice/whatif.h"
#include "exporters/http/routes/routes.h"
#include "exporters/render/forecast.h"
#include "exporters/render/nat.h"
#include "lib/base/build_info.h"

static void add_words(struct text *out, const char *words, const char *prefix)
{
	const char *separator = "";

	for (const char *at = words; *at;) {
		size_t bytes = strcspn(at, " ");

		text_add_format(out, "%s\"%s%.*s\"", separator, prefix, (int)bytes, at);
		separator = ",";
		at += bytes;
		at += strspn(at, " ");
	}
}

static void add_param(struct text *out, const struct route *route, const struct route_param *param,
		      const char *where)
{
	const char *values = route_param_values(route, param);

	text_add_format(out, "{\"name\":\"%s\",\"in\":\"%s\",\"required\":%s,\"description\":",
			param->name, where, strcmp(where, "path") ? "false" : "true");
	text_add_json_string(out, param->means);
	text_add_format(out, ",\"schema\":{\"type\":\"%s\"",
			strcmp(param->type, "boolean") ? param->type : "string");
	if (values) {
		text_add(out, ",\"enum\":[");
		add_words(out, values, "");
		if (!strcmp(param->name, "sort")) {
			text_add_char(out, ',');
			add_words(out, values, "-");
		}
		text_add_char(out, ']');
	}
	if (!strcmp(param->name, "port"))
		text_add(out, ",\"minimum\":0,\"maximum\":65535");
	if (!strcmp(param->name, "limit"))
		text_add(out, ",\"minimum\":1,\"maximum\":500000");
	text_add(out, "}}");
}

/* Each timeout has a name of its own; rates are named by port, too many to list. */
static void add_changes(struct text *out)
{
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		text_add_format(out,
				",{\"name\":\"timeout.%s\",\"in\":\"query\",\"required\":false,"
				"\"description\":\"%s, seconds\",\"schema\":{\"type\":\"integer\","
				"\"minimum\":1,\"maximum\":%.0f}}",
				timeout_info(i)->name, timeout_info(i)->sysctl, WHATIF_TIMEOUT_MAX);
	text_add_format(
		out,
		",{\"name\":\"rates\",\"in\":\"query\",\"required\":false,\"style\":\"form\","
		"\"explode\":true,\"description\":\"rate.tcp/80=2, rate.udp/53/outbound=0.5: "
		"new connections times this "
		"factor\",\"schema\":{\"type\":\"object\",\"propertyNames\":{"
		"\"pattern\":\"^rate[.]\"},\"additionalProperties\":{\"type\":\"number\","
		"\"minimum\":0,\"maximum\":%.0f}}}",
		WHATIF_RATE_MAX);
}

/* Parameters of the query, and those named in braces in the path. */
static void add_params(struct text *out, const struct route *route)
{
	const char *separator = "";

	text_add(out, "\"parameters\":[");
	for (size_t i = 0; i < route_param_count; i++) {
		const struct route_param *param = &route_params[i];
		size_t bytes = strlen(param->name);
		const char *brace = strchr(route->path, '{');
		const char *where = word_in(route->params, param->name) ? "query" : NULL;

		for (; brace && !where; brace = strchr(brace + 1, '{'))
			if (!strncmp(brace + 1, param->name, bytes) && brace[bytes + 1] == '}')
				where = "path";
		if (!where)
			continue;
		text_add(out, separator);
		add_param(out, route, param, where);
		separator = ",";
	}
	if (route->flags & ROUTE_CHANGES)
		add_changes(out);
	text_add_char(out, ']');
}

static void add_type(struct text *out, const char *type)
{
	const char *bar = strchr(type, '|');

	if (bar)
		text_add_format(out, "{\"type\":[\"%.*s\",\"%s\"]", (int)(bar - type), type,
				bar + 1);
	else
		text_add_format(out, "{\"type\":\"%s\"", type);
}

/* Tables whose columns hold objects or lists of objects. */
static const struct column_part *part_of(const struct column *columns, const char *name)
{
	const struct column_part *part = columns == forecast_columns ? forecast_parts
					 : columns == nat_columns    ? nat_parts
								     : NULL;

	while (part && part->name && strcmp(part->name, name) != 0)
		part++;
	return part && part->name ? part : NULL;
}

/* `"required":[...],"properties":{...}`, with what is inside of a column. */
static void add_properties(struct text *out, const struct column *columns, size_t count)
{
	text_add(out, "\"required\":[");
	for (size_t i = 0; i < count; i++)
		text_add_format(out, "%s\"%s\"", i ? "," : "", columns[i].name);
	text_add(out, "],\"properties\":{");
	for (size_t i = 0; i < count; i++) {
		const struct column_part *part = part_of(columns, columns[i].name);
		bool list = !strncmp(columns[i].type, "array", strlen("array"));

		text_add_format(out, "%s\"%s\":", i ? "," : "", columns[i].name);
		add_type(out, columns[i].type);
		text_add(out, ",\"description\":");
		text_add_json_string(out, columns[i].means);
		if (part) {
			text_add(out, list ? ",\"items\":{\"type\":\"object\"," : ",");
			add_properties(out, part->columns, part->count);
			text_add(out, list ? "}" : "");
		}
		text_add_char(out, '}');
	}
	text_add_char(out, '}');
}

static void add_row_schema(struct text *out, const struct route *route)
{
	text_add(out, "{\"type\":\"object\",");
	add_properties(out, route->columns, *route->column_count);
	text_add_char(out, '}');
}

static void add_json_schema(struct text *out, const struct route *route)
{
	if (!route->columns) {
		text_add(out, "{\"type\":\"object\"}");
		return;
	}
	if (route->flags & ROUTE_OBJECT) {
		add_row_schema(out, route);
		return;
	}
	if (strchr(route->path, '{')) {
		text_add(out, "{\"type\":\"object\",\"required\":[\"l4proto\",\"port\",\"service\","
			      "\"entries\",\"share\",\"directions\"],\"properties\":{"
			      "\"l4proto\":{\"type\":\"string\"},\"port\":{\"type\":"
			      "\"integer\"},\"service\":{\"type\":\"string\"},\"entries\":{"
			      "\"type\":\"integer\"},\"share\":{\"type\":\"number\"},"
			      "\"directions\":{\"type\":\"array\",\"items\":");
		add_row_schema(out, route);
		text_add(out, "}}}");
		return;
	}
	text_add(out, "{\"type\":\"array\",\"items\":");
	add_row_schema(out, route);
	text_add_char(out, '}');
}

static void add_response(struct text *out, const struct route *route)
{
	const char *separator = "";

	text_add(out, "\"responses\":{\"200\":{\"description\":\"OK\",\"content\":{");
	for (const char *at = route->media_types; *at;) {
		size_t bytes = strcspn(at, " ");

		text_add_format(out, "%s\"%.*s\":{\"schema\":", separator, (int)bytes, at);
		if (!strncmp(at, "application/json", bytes))
			add_json_schema(out, route);
		else
			text_add(out, "{\"type\":\"string\"}");
		text_add_char(out, '}');
		separator = ",";
		at += bytes;
		at += strspn(at, " ");
	}
	text_add(out, "}},\"4XX\":{\"$ref\":\"#/components/responses/Problem\"},"
		      "\"5XX\":{\"$ref\":\"#/components/responses/Problem\"}}");
}

/* "ports_l4proto_port" of "/api/v1/ports/{l4proto}/{port}", "page" of "/". */
static void add_operation_id(struct text *out, const char *path)
{
	size_t api = strlen(ROUTE_API);
	bool gap = false, any = false;

	if (!strncmp(path, ROUTE_API, api))
		path += api;
	for (; *path; path++) {
		if (!isalnum((unsigned char)*path) && *path != '_') {
			gap = any;
			continue;
		}
		if (gap)
			text_add_char(out, '_');
		text_add_char(out, *path);
		gap = false;
		any = true;
	}
	if (!any)
		text_add(out, "page");
}

void route_openapi(struct app *app, const struct request *request, const struct route_match *match,
		   struct response *response)
{
	struct text *out = &response->body;
	const char *separator = "";

	(void)request;
	(void)match;
	response_type(response, 200, rows_format_media_type(ROWS_JSON));
	text_add_format(
		out,
		"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"conntide\",\"version\":\"%s\","
		"\"license\":{\"name\":\"GPL-2.0-or-later\",\"identifier\":"
		"\"GPL-2.0-or-later\"}},\n\"servers\":[{\"url\":\"../..\"}],"
		"\"security\":[{},{\"password\":[]}],\n\"paths\":{",
		build_version);
	for (size_t i = 0; i < route_count; i++) {
		const struct route *route = &routes[i];

		if (route->flags & ROUTE_HIDDEN)
			continue;
		text_add_format(out, "%s\n\"%s\":{\"get\":{\"operationId\":\"", separator,
				route->flags & ROUTE_PREFIX ? app->options.telemetry_path
							    : route->path);
		add_operation_id(out, route->path);
		text_add(out, "\",\"summary\":");
		text_add_json_string(out, route->summary);
		text_add_char(out, ',');
		add_params(out, route);
		text_add_char(out, ',');
		add_response(out, route);
		text_add(out, "}}");
		separator = ",";
	}
	text_add(out, "},\n\"components\":{\"securitySchemes\":{\"password\":{\"type\":\"http\","
		      "\"scheme\":\"basic\",\"description\":\"where --web.config.file names "
		      "users\"}},\n\"responses\":{\"Problem\":{\"description\":"
		      "\"an error, with a sentence that helps\",\"content\":{"
		      "\"application/problem+json\":{\"schema\":{\"$ref\":"
		      "\"#/components/schemas/"
		      "Problem\"}}}}},\n\"schemas\":{\"Problem\":{\"type\":\"object\","
		      "\"required\":[\"type\",\"title\",\"status\",\"detail\"],\"properties\":{"
		      "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
		      "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},"
		      "\"errors\":{\"type\":\"array\"}}}}}}\n");
}
