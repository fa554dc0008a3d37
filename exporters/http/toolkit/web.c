// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/web.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_START	 UINT64_C(0xcbf29ce484222325)
#define SIGNED_BYTES_MAX ((size_t)1 << 20)

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * UINT64_C(0x100000001b3);
}

/* Two writes within one tick of the clock may leave size and times as they were. */
static uint64_t mix_content(uint64_t hash, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	unsigned char bytes[4096];
	size_t read_bytes = 0;
	ssize_t n;

	if (fd < 0)
		return mix(hash, 2); /* a key that only root may read, say */
	while (read_bytes < SIGNED_BYTES_MAX && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			hash = mix(hash, bytes[i]);
		read_bytes += (size_t)n;
	}
	close(fd);
	return hash;
}

static uint64_t mix_file(uint64_t hash, const char *path)
{
	struct stat st;

	if (!path || stat(path, &st) < 0)
		return mix(hash, 1);
	hash = mix(hash, (uint64_t)st.st_ino);
	hash = mix(hash, (uint64_t)st.st_size);
	hash = mix(hash, (uint64_t)st.st_mtim.tv_sec);
	hash = mix(hash, (uint64_t)st.st_mtim.tv_nsec);
	return S_ISREG(st.st_mode) ? mix_content(hash, path) : hash;
}

static uint64_t mix_named(uint64_t hash, const struct web *web)
{
	hash = mix_file(hash, web->config.cert_file);
	hash = mix_file(hash, web->config.key_file);
	return mix_file(hash, web->config.client_ca_file);
}

uint64_t web_signature(const char *path, const struct web *web)
{
	return mix_named(mix_file(HASH_START, path), web);
}

struct web *web_load(const char *path, char *why, size_t why_bytes)
{
	struct web *web = calloc(1, sizeof(*web));
	int err = 0;

	if (!web) {
		snprintf(why, why_bytes, "out of memory");
		return NULL;
	}
	web_config_init(&web->config);
	web->signature = mix_file(HASH_START, path);
	if (path)
		err = web_config_load(path, &web->config, why, why_bytes);
	if (!err)
		web->signature = mix_named(web->signature, web);
	if (!err && web->config.tls)
		err = tls_load(&web->config, &web->tls, why, why_bytes);
	if (err) {
		web_free(web);
		return NULL;
	}
	web->tokens = web->config.rate_burst;
	return web;
}

void web_free(struct web *web)
{
	if (!web)
		return;
	tls_free(&web->tls);
	web_config_free(&web->config);
	free(web);
}

bool web_rate_allows(struct web *web, uint64_t now_ns)
{
	const struct web_config *config = &web->config;

	if (config->rate_per_s <= 0)
		return true;
	if (web->tokens_at_ns && now_ns > web->tokens_at_ns)
		web->tokens += (double)(now_ns - web->tokens_at_ns) / 1e9 * config->rate_per_s;
	web->tokens_at_ns = now_ns;
	if (web->tokens > config->rate_burst)
		web->tokens = config->rate_burst;
	if (web->tokens < 1)
		return false;
	web->tokens -= 1;
	return true;
}
