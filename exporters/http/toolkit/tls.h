// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Certificates, keys, and who may come in with which. The only user of GnuTLS
 * (libmicrohttpd does the transport with it).
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_TLS_H
#define CONNTIDE_HTTP_TOOLKIT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/http/toolkit/web_config.h"

#define TLS_MAGIC 0x746c7363u

/* What one configuration means to GnuTLS; all memory is its own. */
struct tls {
	uint32_t magic;
	char *cert_pem;
	char *key_pem;
	char *ca_pem;	       /* NULL: no client certificates are checked */
	char priorities[2048]; /* every suite, curve and version there is */
	enum client_auth client_auth;
	const struct web_list *allowed_sans; /* in the web_config, which outlives this */
	int64_t expires_s;		     /* end of the server's certificate */
};

/* Reads and checks the files: key and certificate fit, names of suites are known.
 * 0, or -errno and a sentence. */
int tls_load(const struct web_config *config, struct tls *tls, char *why, size_t why_bytes);
void tls_free(struct tls *tls);

/* At the start of a connection: what is asked of the client. `session` is a
 * gnutls_session_t; `tls` must outlive it. */
void tls_prepare_session(void *session, struct tls *tls);

/* True when the client showed a certificate that was verified. */
bool tls_client_verified(void *session, const struct tls *tls);

/* A keyed digest of two strings, for comparing secrets without keeping them. */
#define DIGEST_BYTES 32u
int tls_digest(const uint8_t key[DIGEST_BYTES], const char *first, const char *second,
	       uint8_t ret_digest[DIGEST_BYTES]);

/* "dXNlcjpwdw==" into out (with a NUL). False for anything that is not base64, with its
 * padding and no white space, of text without NUL that fits. */
bool tls_base64_decode(const char *text, char *out, size_t out_bytes);
int tls_random(uint8_t *to, size_t bytes);

#endif
