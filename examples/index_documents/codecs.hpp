// SPDX-License-Identifier: MIT
// How the pipeline's own types travel to the worker processes and back. The marker batch_done has no codec:
// it stays.
#pragma once

#include "document.hpp"

#include <forkflow/codec.hpp>

template <>
struct forkflow::codec<index_documents::document> {
    static void encode(const index_documents::document& sent, writer& to) { forkflow::encode(to, sent.path); }

    static index_documents::document decode(reader& from) { return {forkflow::decode<std::string>(from)}; }
};

template <>
struct forkflow::codec<index_documents::indexed_document> {
    using indexed_document = index_documents::indexed_document;

    static void encode(const indexed_document& done, writer& to) {
        forkflow::encode(to, done.path);
        forkflow::encode(to, done.title);
        forkflow::encode(to, done.text);
        forkflow::encode(to, done.file_bytes);
        forkflow::encode(to, done.terms);
        forkflow::encode(to, done.distinct_terms);
        forkflow::encode(to, done.keywords);
    }

    static indexed_document decode(reader& from) {
        indexed_document done;
        done.path = forkflow::decode<std::string>(from);
        done.title = forkflow::decode<std::string>(from);
        done.text = forkflow::decode<std::string>(from);
        done.file_bytes = forkflow::decode<std::uint64_t>(from);
        done.terms = forkflow::decode<std::uint64_t>(from);
        done.distinct_terms = forkflow::decode<std::uint64_t>(from);
        done.keywords = forkflow::decode<decltype(done.keywords)>(from);
        return done;
    }
};
