// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A web configuration file with anything in it: taken, or refused in one sentence that
 * names the file; never more of anything than there is room for, no rate that is none.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "exporters/http/toolkit/web_config.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct web_config config;
	char path[48], why[512] = "";
	int fd = memfd_create("web.yml", MFD_CLOEXEC);
	int err;

	BUG_ON(fd < 0 || write(fd, data, bytes) != (ssize_t)bytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = web_config_load(path, &config, why, sizeof(why));
	if (err)
		BUG_ON(config.tls || config.user_count || config.header_count ||
		       strncmp(why, path, strlen(path)) != 0);
	BUG_ON(config.user_count > WEB_USERS_MAX || config.header_count > WEB_HEADERS_MAX);
	BUG_ON(!(config.rate_per_s >= 0) || isinf(config.rate_per_s) || !(config.rate_burst >= 0) ||
	       isinf(config.rate_burst));
	for (size_t i = 0; i < config.header_count; i++)
		BUG_ON(strpbrk(config.headers[i].value, "\r\n") != NULL);
	web_config_free(&config);
	close(fd);
	return 0;
}
