// SPDX-License-Identifier: GPL-2.0-or-later
#include <microhttpd.h>

#include "exporters/http/message/message.h"

const char *http_status_text(unsigned int status)
{
	return MHD_get_reason_phrase_for(status);
}
