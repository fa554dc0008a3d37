// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/flow/lookup.h"

#include <errno.h>
#include <linux/netlink.h>

#include "agent/base/confine.h"
#include "agent/netlink/entry_mark.h"
#include "agent/netlink/parser.h"
#include "agent/netlink/request.h"

#define ANSWER_BYTES 32768u

static int read_answer(const uint8_t *answer, size_t len, struct looked_up *ret_flow)
{
	int left, err = request_end(answer, len);
	const struct nlmsghdr *nlh = ct_message_first(answer, len, &left);

	if (err < 0)
		return err;
	if (err || !nlh)
		return -ENODATA;
	err = ct_event_parse(nlh, (size_t)left, &ret_flow->event);
	if (!err)
		ret_flow->mark = ct_entry_mark(nlh, (size_t)left);
	return err;
}

static int ask(struct request_socket *request, const struct ct_key *key, struct looked_up *ret_flow)
{
	static _Alignas(8) uint8_t bytes[ANSWER_BYTES];
	int len = ct_request_get(bytes, sizeof(bytes), 0, key);
	int err = len < 0 ? len : request_send(request, (struct nlmsghdr *)bytes);
	ssize_t n = err ? err : request_receive(request, bytes, sizeof(bytes));

	return n < 0 ? (int)n : read_answer(bytes, (size_t)n, ret_flow);
}

int flow_look_up(const struct ct_key *key, bool confined, struct looked_up *ret_flow)
{
	struct request_socket request;
	int err;

	request_init(&request, NETLINK_NETFILTER, -1);
	err = request_open(&request);
	if (!err && confined)
		err = confine_agent(&(struct confine_user){.change = false});
	if (!err)
		err = ask(&request, key, ret_flow);
	request_close(&request);
	return err;
}
