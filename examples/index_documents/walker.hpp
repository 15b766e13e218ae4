// SPDX-License-Identifier: MIT
// Walks a folder tree in a fixed order: the documents of a directory, its batch_done, then its
// subdirectories.
#pragma once

#include "document.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace index_documents {

/// Produces the items of a folder tree one at a time; names are sorted bytewise, so that every run has the
/// same order.
///
/// Symbolic links to directories are not followed, so there are no loops. Everything else that is not a
/// directory is a document, whatever it is: whether it can be read is found out by the worker that tries. A
/// directory that cannot be listed (to its end) is sent as a document too, so that it is counted as a failure
/// and not passed over. Memory: the names of one directory and the directories still to be visited. Not
/// thread-safe.
class walker {
public:
    /// \param excluded  a file that is no document though it may lie in the tree, with its `-wal`, `-shm` and
    ///                  `-journal` companions: the database that is being written
    walker(std::filesystem::path root, std::filesystem::path excluded);

    /// The next item, or nothing behind the last one.
    std::optional<item> next();

private:
    void enter(std::filesystem::path directory);
    void list(const std::filesystem::path& directory);
    bool is_excluded(const std::filesystem::path& file) const;

    std::filesystem::path excluded_;
    std::vector<std::filesystem::path> pending_; // directories to visit; the last is the next
    std::optional<std::string> current_;         // the directory whose documents are being sent
    std::vector<std::string> documents_;
    std::size_t sent_ = 0;
};

} // namespace index_documents
