// page: the status page, on a port of its own (--ui-listen).
//
// Purpose: GET and HEAD of the files of sweeper/ui and of api/v1/{overview,slots,timeline,events}.
// It reads and changes nothing, and shows no secrets: what `status` prints, to whoever reaches the
// port. It has no login: that is the task of a proxy in front of it (deploy/README.md). All its
// URLs are relative, and its own scripts and styles are all that a browser may load.
// Thread-safety: answer_page from many threads. Errors: as status codes with a JSON error: 400
// naming the parameter, 404, 405, 503 as LiveStatus::rows(), such as a replica that does not lead.
#pragma once

#include "net/http.h"
#include "net/server.h"
#include "sweeper/live_status.h"

namespace tidemark::sweeper {

net::Response answer_page(const net::ServerRequest& request, LiveStatus& live);

}  // namespace tidemark::sweeper
