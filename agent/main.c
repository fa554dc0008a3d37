// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/config.h"
#include "lib/base/log.h"
#include "lib/base/service.h"

static int run(const struct config *config)
{
	static struct agent agent;
	char why[AGENT_WHY_BYTES] = "";
	int err = agent_create(&agent, config, why);

	if (err) {
		log_error("agent", "%s", why);
	} else {
		log_info("agent", "publishing %s", agent.segment.path);
		if (ct_proc_other_namespace())
			log_warn("agent",
				 "watches a network namespace that is NOT the host's: in a "
				 "container it needs the host's network");
		err = agent_run(&agent);
	}
	agent_destroy(&agent);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct config config;
	char message[CONFIG_MESSAGE_BYTES];

	switch (config_parse(&config, argc, argv, message)) {
	case CONFIG_TEXT:
		fputs(message, stdout);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	case CONFIG_USAGE_ERROR:
		fprintf(stderr, "conntide-agent: %s\n", message);
		return 2;
	case CONFIG_RUN:
		break;
	}
	log_init("conntide-agent");
	service_open();
	if (log_set_level(config.log_level) < 0) {
		fprintf(stderr,
			"conntide-agent: --log.level is error, warn, info or debug, not %s\n",
			config.log_level);
		return 2;
	}
	if (log_set_format(config.log_format) < 0) {
		fprintf(stderr, "conntide-agent: --log.format is logfmt or json, not %s\n",
			config.log_format);
		return 2;
	}
	return run(&config);
}
