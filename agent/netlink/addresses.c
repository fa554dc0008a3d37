// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/addresses.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>

/* rtnetlink does not say that an interface is a loopback; lo is 1 in every namespace, and no
 * other exists. */
#define LOOPBACK_IFINDEX 1u

static int add_bytes(struct local_addrs *set, uint8_t family, const struct nlattr *attr,
		     uint8_t prefix_bits, bool broadcast)
{
	struct local_addr addr = {.family = family, .broadcast = broadcast};
	size_t len = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attr) != len)
		return -EBADMSG;
	memcpy(addr.bytes, mnl_attr_get_payload(attr), len);
	addr.prefix_bits = prefix_bits;
	return local_addrs_add(set, &addr);
}

struct address_attrs {
	const struct nlattr *address;
	const struct nlattr *local;
	const struct nlattr *broadcast;
};

static int pick_attr(const struct nlattr *attr, void *arg)
{
	struct address_attrs *attrs = arg;

	if (mnl_attr_get_type(attr) == IFA_ADDRESS)
		attrs->address = attr;
	else if (mnl_attr_get_type(attr) == IFA_LOCAL)
		attrs->local = attr;
	else if (mnl_attr_get_type(attr) == IFA_BROADCAST)
		attrs->broadcast = attr;
	return MNL_CB_OK;
}

int addresses_add_message(struct local_addrs *set, const void *nlmsg, size_t len)
{
	const struct nlmsghdr *nlh = nlmsg;
	struct address_attrs attrs = {NULL, NULL, NULL};
	const struct ifaddrmsg *ifa;
	uint8_t bits;
	int err;

	/* libmnl walks to the aligned end. */
	if (len < sizeof(*nlh) || nlh->nlmsg_len > len ||
	    ((size_t)nlh->nlmsg_len + 3u) / 4u * 4u > len)
		return -EBADMSG;
	if (nlh->nlmsg_type != RTM_NEWADDR)
		return 0;
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*ifa)))
		return -EBADMSG;
	ifa = mnl_nlmsg_get_payload(nlh);
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return 0;
	if (mnl_attr_parse(nlh, sizeof(*ifa), pick_attr, &attrs) < 0)
		return -EBADMSG;
	/* On point-to-point links IFA_ADDRESS is the peer: IFA_LOCAL decides. */
	if (attrs.local)
		attrs.address = attrs.local;
	if (!attrs.address)
		return -EBADMSG;
	bits = ifa->ifa_family == AF_INET ? 32 : 128;
	if (ifa->ifa_family == AF_INET && ifa->ifa_index == LOOPBACK_IFINDEX &&
	    ifa->ifa_prefixlen < bits)
		bits = ifa->ifa_prefixlen;
	err = add_bytes(set, ifa->ifa_family, attrs.address, bits, false);
	if (!err && attrs.broadcast && ifa->ifa_family == AF_INET)
		err = add_bytes(set, ifa->ifa_family, attrs.broadcast, 32, true);
	return err;
}

bool addresses_known(const struct local_addrs *set, const void *bytes, size_t len)
{
	const struct nlmsghdr *nlh = bytes;
	struct local_addrs told;
	int left = (int)len;
	bool known = true;

	local_addrs_init(&told);
	for (; known && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		known = nlh->nlmsg_type == RTM_NEWADDR &&
			addresses_add_message(&told, nlh, (size_t)left) == 0;
	local_addrs_finish(&told);
	known = known && told.count > 0 && local_addrs_hold(set, &told);
	local_addrs_free(&told);
	return known;
}
