// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/entry_mark.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <libmnl/libmnl.h>

static int take_mark(const struct nlattr *attr, void *arg)
{
	uint32_t *mark = arg;

	if (mnl_attr_get_type(attr) == CTA_MARK && mnl_attr_get_payload_len(attr) == sizeof(*mark))
		*mark = ntohl(mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

uint32_t ct_entry_mark(const struct nlmsghdr *nlh, size_t len)
{
	uint32_t mark = 0;

	/* libmnl walks to the aligned end. */
	if (((size_t)nlh->nlmsg_len + 3u) / 4u * 4u <= len)
		mnl_attr_parse(nlh, sizeof(struct nfgenmsg), take_mark, &mark);
	return mark;
}
