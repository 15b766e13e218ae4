// SPDX-License-Identifier: MIT
#include <forkflow/nodes/worker.hpp>
#include <forkflow/nodes/worker_life.hpp>
#include <forkflow/nodes/worker_process.hpp>

#include <unistd.h>

namespace forkflow::nodes {
namespace {

int live(worker& working, const std::function<void()>& prepare, const std::function<void()>& seclude) {
    if (!working.initialise(prepare, seclude)) {
        return 1;
    }
    working.run();
    return 0;
}

} // namespace

int live_as_worker(const rings& shared, const pool_options& options, const worker_body& body,
                   const worker_identity& self) {
    worker working(shared, options, body, options.testing.hook, self);
    return live(working, {}, options.sandbox);
}

int live_as_worker_process(const rings& shared, const pool_options& options, const worker_body& body,
                           const worker_identity& self) {
    const int parent = ::getppid();
    shared.memory().seal();
    shared.memory().enter(self.seat);
    shared.memory().withhold_from_children();
    leave_last_words(shared, self.seat);
    worker working(shared, options, body, options.testing.hook, self);
    const auto prepare = [&] { apply(options.limits); };
    const auto seclude = [&] {
        die_with(parent); // again: worker_init may have changed credentials, which undoes it
        if (options.sandbox) {
            options.sandbox();
        }
    };
    return live(working, prepare, seclude);
}

} // namespace forkflow::nodes
