// SPDX-License-Identifier: MIT
// Implements the folder walk on std::filesystem, with error codes only: no entry may end the walk.
#include "walker.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>
#include <system_error>
#include <utility>

namespace index_documents {

namespace fs = std::filesystem;

walker::walker(fs::path root, fs::path excluded)
    : excluded_(std::move(excluded)) {
    pending_.push_back(std::move(root));
}

std::optional<item> walker::next() {
    if (!current_) {
        if (pending_.empty())
            return std::nullopt;
        fs::path directory = std::move(pending_.back());
        pending_.pop_back();
        enter(std::move(directory));
    }
    if (sent_ < documents_.size())
        return document{std::move(documents_[sent_++])};
    batch_done done{std::move(*current_), documents_.size()};
    current_.reset();
    return done;
}

void walker::enter(fs::path directory) {
    documents_.clear();
    sent_ = 0;
    const auto first_new = static_cast<std::ptrdiff_t>(pending_.size());
    list(directory);
    std::sort(documents_.begin(), documents_.end());
    std::sort(pending_.begin() + first_new, pending_.end(),
              [](const fs::path& a, const fs::path& b) { return a.native() > b.native(); });
    current_ = directory.native();
}

void walker::list(const fs::path& directory) {
    std::error_code error;
    fs::directory_iterator entry(directory, error);
    for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
        std::error_code
            unknown; // an entry whose type cannot be found out is a document that will fail by name
        const fs::file_status own = entry->symlink_status(unknown);
        if (fs::is_directory(own))
            pending_.push_back(entry->path());
        else if (fs::is_symlink(own) && entry->is_directory(unknown))
            continue;
        else if (!is_excluded(entry->path()))
            documents_.push_back(entry->path().native());
    }
    if (error)
        documents_.push_back(directory.native());
}

bool walker::is_excluded(const fs::path& file) const {
    // The names are compared first: only a file that is called like the database costs a look at the file
    // system.
    static constexpr std::array<std::string_view, 4> companions{"", "-wal", "-shm", "-journal"};
    return std::any_of(companions.begin(), companions.end(), [&](std::string_view suffix) {
        fs::path candidate = excluded_;
        candidate += suffix;
        std::error_code error;
        return candidate.filename() == file.filename() && fs::equivalent(candidate, file, error);
    });
}

} // namespace index_documents
