// SPDX-License-Identifier: MIT
// The body as the engine sees it: bytes in, bytes out.
#pragma once

#include <forkflow/nodes/bytes.hpp>

#include <functional>

namespace forkflow::nodes {

/// How far a call of the body has come: an exception from here means this kind of failure.
enum class body_stage { decoding, running, encoding };

/// One message in a worker: its request, the place for its result, and how far the body has come with it.
struct worker_call {
    byte_reader request;
    byte_writer& result; ///< the first write waits until the result is admitted
    body_stage stage = body_stage::decoding;
};

/// Decodes the request, runs the user's body, encodes its result, and keeps `stage` up to date. Called in
/// workers only.
using worker_body = std::function<void(worker_call&)>;

} // namespace forkflow::nodes
