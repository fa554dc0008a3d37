// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/check.h"

#define PEM_BYTES_MAX 262144

/* Go's names, as people have them in their files, and GnuTLS' parts of them. */
static const struct {
	const char *name;
	const char *parts;
} suites[] = {
	{"TLS_AES_128_GCM_SHA256", "+AES-128-GCM:+AEAD"},
	{"TLS_AES_256_GCM_SHA384", "+AES-256-GCM:+AEAD"},
	{"TLS_CHACHA20_POLY1305_SHA256", "+CHACHA20-POLY1305:+AEAD"},
	{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "+ECDHE-ECDSA:+AES-128-GCM:+AEAD"},
	{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "+ECDHE-ECDSA:+AES-256-GCM:+AEAD"},
	{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "+ECDHE-ECDSA:+CHACHA20-POLY1305:+AEAD"},
	{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "+ECDHE-ECDSA:+CHACHA20-POLY1305:+AEAD"},
	{"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "+ECDHE-ECDSA:+AES-128-CBC:+SHA1"},
	{"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "+ECDHE-ECDSA:+AES-256-CBC:+SHA1"},
	{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "+ECDHE-RSA:+AES-128-GCM:+AEAD"},
	{"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "+ECDHE-RSA:+AES-256-GCM:+AEAD"},
	{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "+ECDHE-RSA:+CHACHA20-POLY1305:+AEAD"},
	{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "+ECDHE-RSA:+CHACHA20-POLY1305:+AEAD"},
	{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "+ECDHE-RSA:+AES-128-CBC:+SHA1"},
	{"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "+ECDHE-RSA:+AES-256-CBC:+SHA1"},
	{"TLS_RSA_WITH_AES_128_GCM_SHA256", "+RSA:+AES-128-GCM:+AEAD"},
	{"TLS_RSA_WITH_AES_256_GCM_SHA384", "+RSA:+AES-256-GCM:+AEAD"},
	{"TLS_RSA_WITH_AES_128_CBC_SHA", "+RSA:+AES-128-CBC:+SHA1"},
	{"TLS_RSA_WITH_AES_256_CBC_SHA", "+RSA:+AES-256-CBC:+SHA1"},
};

static const struct {
	const char *name;
	const char *part;
} curves[] = {{"CurveP256", "+GROUP-SECP256R1"},
	      {"CurveP384", "+GROUP-SECP384R1"},
	      {"CurveP521", "+GROUP-SECP521R1"},
	      {"X25519", "+GROUP-X25519"}};

static int fail(char *why, size_t why_bytes, const char *what, const char *reason)
{
	snprintf(why, why_bytes, "%s: %s", what, reason);
	return -EINVAL;
}

static int read_file(const char *path, char **ret_text, char *why, size_t why_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = -errno;

		fail(why, why_bytes, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return err;
	}
	*ret_text = NULL;
	if (S_ISREG(st.st_mode) && st.st_size <= PEM_BYTES_MAX)
		*ret_text = calloc(1, (size_t)st.st_size + 1);
	if (*ret_text)
		n = read(fd, *ret_text, (size_t)st.st_size);
	close(fd);
	if (n != st.st_size)
		return fail(why, why_bytes, path, "not a PEM file of reasonable size");
	return 0;
}

static bool append(struct tls *tls, const char *more)
{
	size_t used = strlen(tls->priorities);

	if (strstr(tls->priorities, more))
		return true;
	if (used + strlen(more) + 2 > sizeof(tls->priorities))
		return false;
	snprintf(tls->priorities + used, sizeof(tls->priorities) - used, ":%s", more);
	return true;
}

static int add_suites(const struct web_config *config, struct tls *tls, char *why, size_t why_bytes)
{
	if (config->cipher_suites.count &&
	    !(append(tls, "-CIPHER-ALL") && append(tls, "-KX-ALL") && append(tls, "-MAC-ALL")))
		return -E2BIG;
	for (size_t i = 0; i < config->cipher_suites.count; i++) {
		const char *name = config->cipher_suites.items[i];
		const char *parts = NULL;

		for (size_t k = 0; k < sizeof(suites) / sizeof(suites[0]); k++)
			if (!strcmp(name, suites[k].name))
				parts = suites[k].parts;
		if (!parts)
			return fail(why, why_bytes, name, "this cipher suite is not known");
		if (!append(tls, parts))
			return fail(why, why_bytes, "cipher_suites", "the list is too long");
	}
	/* TLS 1.3 has no key exchange in the names of its suites. */
	if (config->cipher_suites.count && !append(tls, "+ECDHE-RSA:+ECDHE-ECDSA"))
		return fail(why, why_bytes, "cipher_suites", "the list is too long");
	if (config->curve_preferences.count && !append(tls, "-GROUP-ALL"))
		return -E2BIG;
	for (size_t i = 0; i < config->curve_preferences.count; i++) {
		const char *name = config->curve_preferences.items[i];
		const char *part = NULL;

		for (size_t k = 0; k < sizeof(curves) / sizeof(curves[0]); k++)
			if (!strcmp(name, curves[k].name))
				part = curves[k].part;
		if (!part)
			return fail(why, why_bytes, name, "this curve is not known");
		if (!append(tls, part))
			return fail(why, why_bytes, "curve_preferences", "the list is too long");
	}
	return 0;
}

static int build_priorities(const struct web_config *config, struct tls *tls, char *why,
			    size_t why_bytes)
{
	static const char *const versions[] = {"+VERS-TLS1.0", "+VERS-TLS1.1", "+VERS-TLS1.2",
					       "+VERS-TLS1.3"};
	gnutls_priority_t check;
	int err;

	strcpy(tls->priorities, "NORMAL:-VERS-ALL");
	for (int v = (int)config->min_version; v <= (int)config->max_version; v++)
		append(tls, versions[v]);
	err = add_suites(config, tls, why, why_bytes);
	if (err)
		return err;
	if (config->prefer_server_cipher_suites)
		append(tls, "%SERVER_PRECEDENCE");
	if (gnutls_priority_init(&check, tls->priorities, NULL) != GNUTLS_E_SUCCESS)
		return fail(why, why_bytes, "tls_server_config",
			    "these versions, suites and curves do not fit together");
	gnutls_priority_deinit(check);
	return 0;
}

static int check_pair(const struct web_config *config, struct tls *tls, char *why, size_t why_bytes)
{
	gnutls_datum_t cert = {(unsigned char *)tls->cert_pem, (unsigned int)strlen(tls->cert_pem)};
	gnutls_datum_t key = {(unsigned char *)tls->key_pem, (unsigned int)strlen(tls->key_pem)};
	gnutls_certificate_credentials_t credentials;
	gnutls_x509_crt_t parsed;
	int result = gnutls_certificate_allocate_credentials(&credentials);

	if (result == GNUTLS_E_SUCCESS) {
		result = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key,
							     GNUTLS_X509_FMT_PEM);
		if (result >= 0 && tls->ca_pem) {
			gnutls_datum_t ca = {(unsigned char *)tls->ca_pem,
					     (unsigned int)strlen(tls->ca_pem)};

			result = gnutls_certificate_set_x509_trust_mem(credentials, &ca,
								       GNUTLS_X509_FMT_PEM);
			if (result == 0)
				result = GNUTLS_E_NO_CERTIFICATE_FOUND;
		}
		gnutls_certificate_free_credentials(credentials);
	}
	if (result < 0)
		return fail(why, why_bytes, config->cert_file, gnutls_strerror(result));
	if (gnutls_x509_crt_init(&parsed) == GNUTLS_E_SUCCESS) {
		if (gnutls_x509_crt_import(parsed, &cert, GNUTLS_X509_FMT_PEM) == 0)
			tls->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(parsed);
		gnutls_x509_crt_deinit(parsed);
	}
	return 0;
}

int tls_load(const struct web_config *config, struct tls *tls, char *why, size_t why_bytes)
{
	int err;

	memset(tls, 0, sizeof(*tls));
	tls->magic = TLS_MAGIC;
	tls->client_auth = config->client_auth;
	tls->allowed_sans = &config->client_allowed_sans;
	err = read_file(config->cert_file, &tls->cert_pem, why, why_bytes);
	if (!err)
		err = read_file(config->key_file, &tls->key_pem, why, why_bytes);
	if (!err && config->client_ca_file)
		err = read_file(config->client_ca_file, &tls->ca_pem, why, why_bytes);
	if (!err)
		err = build_priorities(config, tls, why, why_bytes);
	if (!err)
		err = check_pair(config, tls, why, why_bytes);
	if (err)
		tls_free(tls);
	return err;
}

void tls_free(struct tls *tls)
{
	if (tls->key_pem)
		gnutls_memset(tls->key_pem, 0, strlen(tls->key_pem));
	free(tls->key_pem);
	free(tls->cert_pem);
	free(tls->ca_pem);
	memset(tls, 0, sizeof(*tls));
}

static bool san_allowed(gnutls_session_t session, const struct web_list *allowed)
{
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t cert;
	unsigned int count = 0;
	bool found = false;

	if (!allowed->count)
		return true;
	chain = gnutls_certificate_get_peers(session, &count);
	if (!chain || !count || gnutls_x509_crt_init(&cert) != GNUTLS_E_SUCCESS)
		return false;
	if (gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) == 0)
		for (unsigned int i = 0; !found; i++) {
			char name[512] = "";
			size_t bytes = sizeof(name) - 1;
			int type =
				gnutls_x509_crt_get_subject_alt_name(cert, i, name, &bytes, NULL);

			if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
				break;
			for (size_t k = 0; type >= 0 && k < allowed->count; k++)
				found = found || (type != GNUTLS_SAN_IPADDRESS &&
						  !strcmp(name, allowed->items[k]));
		}
	gnutls_x509_crt_deinit(cert);
	return found;
}

/* Called by GnuTLS within the handshake, only when the client sent a certificate. */
static int verify_client(gnutls_session_t session)
{
	struct tls *tls;
	unsigned int status = 0;

	OBJECT_TAKE(tls, gnutls_session_get_ptr(session), TLS_MAGIC);
	if (tls->client_auth == CLIENT_AUTH_REQUEST || tls->client_auth == CLIENT_AUTH_REQUIRE_ANY)
		return 0;
	if (gnutls_certificate_verify_peers3(session, NULL, &status) < 0 || status != 0)
		return GNUTLS_E_CERTIFICATE_ERROR;
	return san_allowed(session, tls->allowed_sans) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

void tls_prepare_session(void *session, struct tls *tls)
{
	bool must = tls->client_auth == CLIENT_AUTH_REQUIRE_ANY ||
		    tls->client_auth == CLIENT_AUTH_REQUIRE_VERIFY;

	if (tls->client_auth == CLIENT_AUTH_NONE)
		return;
	gnutls_session_set_ptr(session, tls);
	gnutls_certificate_server_set_request(session,
					      must ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_REQUEST);
	gnutls_session_set_verify_function(session, verify_client);
}

bool tls_client_verified(void *session, const struct tls *tls)
{
	unsigned int count = 0;

	return (tls->client_auth == CLIENT_AUTH_VERIFY_IF_GIVEN ||
		tls->client_auth == CLIENT_AUTH_REQUIRE_VERIFY) &&
	       gnutls_certificate_get_peers(session, &count) && count > 0;
}

int tls_digest(const uint8_t key[DIGEST_BYTES], const char *first, const char *second,
	       uint8_t ret_digest[DIGEST_BYTES])
{
	gnutls_hmac_hd_t hmac;

	if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, key, DIGEST_BYTES) != GNUTLS_E_SUCCESS)
		return -ENOMEM;
	/* With the NUL between them, so that no two pairs give the same bytes. */
	gnutls_hmac(hmac, first, strlen(first) + 1);
	gnutls_hmac(hmac, second, strlen(second) + 1);
	gnutls_hmac_deinit(hmac, ret_digest);
	return 0;
}

int tls_random(uint8_t *to, size_t bytes)
{
	return gnutls_rnd(GNUTLS_RND_KEY, to, bytes) < 0 ? -EIO : 0;
}

bool tls_base64_decode(const char *text, char *out, size_t out_bytes)
{
	const gnutls_datum_t from = {(unsigned char *)(uintptr_t)text, (unsigned int)strlen(text)};
	gnutls_datum_t to;
	bool fits;

	/* nettle, below GnuTLS, passes over white space. */
	if (text[strcspn(text, " \t\r\n\v\f")] || from.size / 4 * 3 >= out_bytes + 3 ||
	    gnutls_base64_decode2(&from, &to) < 0)
		return false;
	fits = to.size < out_bytes && !memchr(to.data, 0, to.size);
	if (fits) {
		memcpy(out, to.data, to.size);
		out[to.size] = '\0';
	}
	gnutls_memset(to.data, 0, to.size);
	gnutls_free(to.data);
	return fits;
}
