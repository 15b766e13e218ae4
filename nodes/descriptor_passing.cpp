// SPDX-License-Identifier: MIT
#include <forkflow/nodes/descriptor_passing.hpp>
#include <forkflow/nodes/lack_of_memory.hpp>
#include <forkflow/nodes/system_call.hpp>

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>

namespace forkflow::nodes {
namespace {

constexpr std::size_t most_descriptors = 128;

struct alignas(cmsghdr) control_buffer {
    std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> bytes{};
};

} // namespace

void send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> descriptors,
                 std::chrono::steady_clock::time_point end) {
    iovec payload{const_cast<std::byte*>(bytes.data()), bytes.size()}; // sendmsg only reads it
    msghdr message{};
    message.msg_iov = &payload;
    message.msg_iovlen = 1;
    control_buffer control;
    if (!descriptors.empty()) {
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
    }
    const auto send = [&] {
        return uninterrupted([&] { return ::sendmsg(socket, &message, MSG_NOSIGNAL); });
    };
    ssize_t sent = send();
    while (sent == -1 && is_lack_of_memory(errno) && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(memory_pause);
        sent = send();
    }
    checked("sendmsg", sent);
}

received_packet receive_packet(int socket, std::span<std::byte> bytes) {
    iovec payload{bytes.data(), bytes.size()};
    control_buffer control;
    msghdr message{};
    message.msg_iov = &payload;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    received_packet packet;
    packet.descriptors.reserve(most_descriptors); // before there are any that would be lost
    const ssize_t got =
        checked("recvmsg", uninterrupted([&] { return ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC); }));
    packet.size_bytes = static_cast<std::size_t>(got);
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int number = -1;
                std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
                packet.descriptors.emplace_back(number);
            }
        }
    }
    return packet;
}

} // namespace forkflow::nodes
