// SPDX-License-Identifier: MIT
// A successor that is none of oneTBB's nodes: a function decides whether it takes what it is offered.
#pragma once

#include <forkflow/graph/message_waiters.hpp>
#include <forkflow/graph/protocol.hpp>

#include <functional>
#include <utility>

namespace forkflow_test {

/// Does not ask for what it has refused, unless the test does: `may_ask` is told whom, each time that an edge
/// is turned round.
template <class T>
class own_receiver final : public tbb::flow::receiver<T> {
public:
    own_receiver(tbb::flow::graph& owner, std::function<bool(const T&)> take,
                 std::function<void(tbb::flow::sender<T>&)> may_ask = nullptr)
        : graph_(owner)
        , take_(std::move(take))
        , may_ask_(std::move(may_ask)) {}

private:
    forkflow::graph::graph_task* try_put_task(const T& offered) override {
        return take_(offered) ? forkflow::graph::taken_without_task : nullptr;
    }
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    forkflow::graph::graph_task* try_put_task(const T& offered,
                                              const forkflow::graph::message_metainfo& /*waiters*/) override {
        return try_put_task(offered);
    }
#endif
    bool register_predecessor(tbb::flow::sender<T>& from) override {
        if (may_ask_) {
            may_ask_(from);
        }
        return may_ask_ != nullptr;
    }
    tbb::flow::graph& graph_reference() const override {
        return graph_;
    }

    tbb::flow::graph& graph_;
    std::function<bool(const T&)> take_;
    std::function<void(tbb::flow::sender<T>&)> may_ask_;
};

} // namespace forkflow_test
