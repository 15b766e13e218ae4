// SPDX-License-Identifier: MIT
#include <forkflow/nodes/buffer_memory.hpp>
#include <forkflow/nodes/message_memory.hpp>
#include <forkflow/nodes/rings.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace forkflow::nodes {

buffer_memory::buffer_memory(std::shared_ptr<const shared_mapping> mapping, std::span<std::byte> region)
    : mapping_(std::move(mapping))
    , region_(region) {
    if (!region.empty()) {
        free_.emplace(0, free_run{.bytes = region.size()});
    }
}

std::shared_ptr<const buffer_memory::block> buffer_memory::try_allocate(std::size_t bytes) {
    return allocate_until(bytes, std::chrono::steady_clock::time_point::min());
}

std::shared_ptr<const buffer_memory::block>
buffer_memory::allocate_until(std::size_t bytes, std::chrono::steady_clock::time_point deadline) {
    if (bytes > region_.size()) { // also: whole_pages would wrap
        return nullptr;
    }
    const std::size_t wanted = whole_pages(std::max<std::size_t>(bytes, 1));
    auto made = std::make_shared<block>(shared_from_this()); // who has no memory for it takes no room
    std::unique_lock lock(mutex_);
    std::optional<std::size_t> offset = find_room(wanted);
    while (!offset && !waits_ended_ && std::chrono::steady_clock::now() < deadline) {
        freed_.wait_until(lock, deadline);
        offset = find_room(wanted);
    }
    if (!offset) {
        return nullptr;
    }
    take(*offset, wanted);
    lock.unlock();
    made->hold(region_.subspan(*offset, wanted));
    if (!mapping_->provide(made->pages())) {
        throw no_message_memory(bytes);
    }
    return made;
}

void buffer_memory::end_waits() {
    const std::scoped_lock lock(mutex_);
    waits_ended_ = true;
    freed_.notify_all();
}

/// The lowest offset behind which so much is free.
std::optional<std::size_t> buffer_memory::find_room(std::size_t bytes) const {
    std::size_t begin = 0;
    std::size_t end = 0;
    for (const auto& [offset, run] : free_) {
        begin = offset == end ? begin : offset;
        end = offset + run.bytes;
        if (end - begin >= bytes) {
            return begin;
        }
    }
    return std::nullopt;
}

void buffer_memory::take(std::size_t offset, std::size_t bytes) noexcept {
    while (bytes > 0) {
        note first = free_.extract(offset);
        free_run& run = first.mapped();
        const std::size_t taken = std::min(bytes, run.bytes);
        count_idle({.bytes = taken, .age = run.age}, false);
        if (taken < run.bytes) {
            first.key() += taken;
            run.bytes -= taken;
            free_.insert(std::move(first));
        }
        offset += taken;
        bytes -= taken;
    }
}

buffer_memory::note buffer_memory::blank_note() {
    free_runs made;
    made.try_emplace(0);
    return made.extract(made.begin());
}

void buffer_memory::free(std::span<std::byte> pages, note blank) noexcept {
    const std::scoped_lock lock(mutex_);
    insert(std::move(blank), offset_of(pages.data()), {.bytes = pages.size(), .age = sweeps_});
    freed_.notify_all(); // all, as each needs another size
    if (on_idle_) {
        on_idle_();
    }
}

/// Joins it with neighbours of its age.
void buffer_memory::insert(note blank, std::size_t offset, free_run run) noexcept {
    blank.key() = offset;
    blank.mapped() = run;
    auto inserted = free_.insert(std::move(blank)).position;
    count_idle(run, true);
    join_with_one_before(inserted);
    if (auto next = std::next(inserted); next != free_.end()) {
        join_with_one_before(next);
    }
}

/// `run` goes on as what it was joined with.
void buffer_memory::join_with_one_before(free_runs::iterator& run) noexcept {
    if (run == free_.begin()) {
        return;
    }
    const auto before = std::prev(run);
    if (before->first + before->second.bytes == run->first && before->second.age == run->second.age) {
        before->second.bytes += run->second.bytes;
        free_.erase(run);
        run = before;
    }
}

void buffer_memory::count_idle(const free_run& run, bool more) noexcept {
    if (run.age) {
        more ? idle_.fetch_add(run.bytes) : idle_.fetch_sub(run.bytes);
    }
}

void buffer_memory::sweep() noexcept {
    const std::scoped_lock lock(mutex_);
    for (auto at = free_.begin(); at != free_.end(); ++at) {
        if (at->second.age && *at->second.age < sweeps_) {
            mapping_->give_back(region_.subspan(at->first, at->second.bytes));
            count_idle(at->second, false);
            at->second.age.reset();
        }
        join_with_one_before(at);
    }
    ++sweeps_;
}

void buffer_memory::set_on_idle(std::function<void()> on_idle) {
    const std::scoped_lock lock(mutex_);
    on_idle_ = std::move(on_idle);
}

} // namespace forkflow::nodes
