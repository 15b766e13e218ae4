// SPDX-License-Identifier: MIT
#include <forkflow/nodes/failure_record.hpp>
#include <forkflow/nodes/protocol.hpp>

#include <algorithm>

namespace forkflow::nodes {
namespace {

constexpr std::size_t most_text_bytes = std::size_t{16} << 10U;

void write_text(byte_writer& to, const std::string& text) {
    const auto size = static_cast<std::uint32_t>(std::min(text.size(), most_text_bytes));
    to.write_value(size);
    to.write(text.data(), size);
}

std::string read_text(byte_reader& from) {
    const std::span<const std::byte> text = from.take(from.read_value<std::uint32_t>());
    std::string copy(text.size(), '\0');
    std::transform(text.begin(), text.end(), copy.begin(),
                   [](std::byte byte) { return static_cast<char>(byte); });
    return copy;
}

} // namespace

void write_failure(byte_writer& to, const failure& outcome) {
    to.write_value(outcome.kind);
    to.write_value(outcome.pid);
    to.write_value(std::uint64_t{outcome.size_bytes});
    to.write_value(std::uint64_t{outcome.limit_bytes});
    write_text(to, outcome.exception_type);
    write_text(to, outcome.what);
    const auto frames =
        static_cast<std::uint32_t>(std::min(outcome.stack_trace.frames.size(), max_stack_frames));
    to.write_value(frames);
    to.write(outcome.stack_trace.frames.data(), frames * sizeof(std::uintptr_t));
}

failure read_failure(byte_reader& from) {
    failure outcome;
    const auto kind = from.read_value<std::uint8_t>();
    if (kind > static_cast<std::uint8_t>(failure_kind::no_memory)) {
        throw not_decodable("a failure record names no known kind");
    }
    outcome.kind = static_cast<failure_kind>(kind);
    outcome.pid = from.read_value<int>();
    outcome.size_bytes = from.read_value<std::uint64_t>();
    outcome.limit_bytes = from.read_value<std::uint64_t>();
    outcome.exception_type = read_text(from);
    outcome.what = read_text(from);
    const auto frames = from.read_value<std::uint32_t>();
    if (frames > max_stack_frames) {
        throw not_decodable("a failure record has more stack frames than are ever written");
    }
    outcome.stack_trace.frames.resize(frames);
    from.read(outcome.stack_trace.frames.data(), frames * sizeof(std::uintptr_t));
    return outcome;
}

} // namespace forkflow::nodes
