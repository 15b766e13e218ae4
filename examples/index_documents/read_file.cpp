// SPDX-License-Identifier: MIT
// Implements reading with POSIX calls and inflating with zlib.
#include "read_file.hpp"

#include "document_errors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace index_documents {

namespace {

class open_file {
public:
    // O_NONBLOCK and O_NOCTTY: should the file have become a pipe or a terminal since it was looked at
    explicit open_file(const std::string& path)
        : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
    ~open_file() {
        if (descriptor_ >= 0)
            ::close(descriptor_);
    }
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;
    int get() const { return descriptor_; }

private:
    int descriptor_;
};

[[noreturn]] void throw_unreadable(const char* call) {
    throw unreadable_file(std::string(call) + ": " + std::strerror(errno));
}

[[noreturn]] void throw_oversized(std::size_t limit_bytes) {
    throw oversized_file("more than " + std::to_string(limit_bytes) + " bytes");
}

void require_regular(const struct stat& status) {
    if (S_ISDIR(status.st_mode))
        throw unreadable_directory("cannot be listed");
    if (!S_ISREG(status.st_mode))
        throw special_file("neither file nor directory");
}

std::size_t read_some(int descriptor, char* to, std::size_t bytes) {
    for (;;) {
        const ssize_t got = ::read(descriptor, to, bytes);
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (errno != EINTR)
            throw_unreadable("read");
    }
}

class inflater {
public:
    inflater() {
        constexpr int gzip_only = 16;
        if (::inflateInit2(&stream, MAX_WBITS + gzip_only) != Z_OK)
            throw std::bad_alloc();
    }
    ~inflater() { ::inflateEnd(&stream); }
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;

    z_stream stream{};
};

} // namespace

std::string read_file(const std::string& path, std::size_t limit_bytes) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
        throw_unreadable("stat");
    require_regular(status);
    const open_file file(path);
    if (file.get() < 0)
        throw_unreadable("open");
    if (::fstat(file.get(), &status) != 0)
        throw_unreadable("fstat");
    require_regular(status);

    // The size is only a hint: a file may grow meanwhile, and those of /proc say 0.
    const auto expected = static_cast<std::size_t>(std::max<off_t>(status.st_size, 4096));
    std::string bytes(std::min(expected, limit_bytes) + 1, '\0');
    std::size_t filled = 0;
    while (const std::size_t got = read_some(file.get(), bytes.data() + filled, bytes.size() - filled)) {
        filled += got;
        if (filled > limit_bytes)
            throw_oversized(limit_bytes);
        if (filled == bytes.size())
            bytes.resize(std::min(2 * bytes.size(), limit_bytes + 1));
    }
    bytes.resize(filled);
    return bytes;
}

bool looks_like_gzip(std::string_view bytes) {
    return bytes.starts_with("\x1f\x8b");
}

std::string inflate_gzip(std::string_view compressed, std::size_t limit_bytes) {
    inflater gzip;
    z_stream& stream = gzip.stream;
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data())); // zlib does not write there
    stream.avail_in = static_cast<uInt>(compressed.size());
    std::string text(std::min(std::max<std::size_t>(4 * compressed.size(), 4096), limit_bytes + 1), '\0');
    std::size_t filled = 0;
    for (;;) {
        stream.next_out = reinterpret_cast<Bytef*>(text.data() + filled);
        stream.avail_out = static_cast<uInt>(text.size() - filled);
        const int status = ::inflate(&stream, Z_NO_FLUSH);
        filled = text.size() - stream.avail_out;
        if (filled > limit_bytes)
            throw_oversized(limit_bytes);
        if (status == Z_STREAM_END) {
            const std::string_view rest(reinterpret_cast<const char*>(stream.next_in), stream.avail_in);
            if (rest.find_first_not_of('\0') == std::string_view::npos)
                break;
            if (!looks_like_gzip(rest))
                throw damaged_file("unknown data behind the compressed data");
            ::inflateReset(&stream);
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            throw damaged_file(stream.msg ? stream.msg : "not compressed data");
        } else if (stream.avail_out == 0) {
            text.resize(std::min(2 * text.size(), limit_bytes + 1));
        } else if (stream.avail_in == 0) {
            throw damaged_file("ends too early");
        }
    }
    text.resize(filled);
    return text;
}

} // namespace index_documents
