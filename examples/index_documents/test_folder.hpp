// SPDX-License-Identifier: MIT
// A folder of its own for each test case, and what is put into it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <zlib.h>

namespace index_documents {

/// A new, empty folder that is removed with all that is in it.
class test_folder {
public:
    test_folder() {
        std::string name =
            (std::filesystem::temp_directory_path() / ("index_documents_" + std::string(6, 'X')))
                .native(); // as mkdtemp wants it
        if (::mkdtemp(name.data()) == nullptr)
            throw std::runtime_error("mkdtemp");
        path_ = name;
    }
    ~test_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    test_folder(const test_folder&) = delete;
    test_folder& operator=(const test_folder&) = delete;

    /// Writes a file, with the folders above it, and returns its path.
    std::string write(const std::string& name, std::string_view content) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << content;
        return file.native();
    }

    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A gzip file with this content.
inline std::string gzip(std::string_view content) {
    const test_folder folder;
    const std::string name = (folder / "compressed").native();
    gzFile file = ::gzopen(name.c_str(), "wb");
    ::gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
    ::gzclose(file);
    std::ifstream compressed(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(compressed), {}};
}

} // namespace index_documents
