// SPDX-License-Identifier: MIT
// Types of the user's: aggregates, listed members, codecs written by hand, types that contain themselves.
#pragma once

#include "cases.hpp"
#include "codec/codec_types.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace forkflow_fuzz {

struct page {
    std::string url;
    std::vector<int> links;
    bool secure = false;
    std::optional<std::map<std::string, double>> scores;
};

class listed {
public:
    std::string name;
    std::vector<page> pages;

private:
    friend struct forkflow::codec<listed>;
    friend struct forkflow_test::random_maker<listed>;
    std::shared_ptr<page> hidden_;
};

struct chain {
    std::unique_ptr<chain> next;
};

struct percentage {
    unsigned char value = 0;
};

} // namespace forkflow_fuzz

template <>
struct forkflow::codec<forkflow_fuzz::page> : forkflow::aggregate_codec<forkflow_fuzz::page> {};
template <>
struct forkflow::codec<forkflow_fuzz::listed>
    : forkflow::members_codec<forkflow_fuzz::listed, &forkflow_fuzz::listed::name,
                              &forkflow_fuzz::listed::pages, &forkflow_fuzz::listed::hidden_> {};
template <>
struct forkflow::codec<forkflow_fuzz::chain> : forkflow::aggregate_codec<forkflow_fuzz::chain> {};
template <>
struct forkflow::codec<forkflow_fuzz::percentage> {
    static void encode(const forkflow_fuzz::percentage& sent, writer& to) {
        forkflow::encode(to, sent.value);
    }
    static forkflow_fuzz::percentage decode(reader& from) {
        const auto value = forkflow::decode<unsigned char>(from);
        if (value > 100) {
            throw not_decodable("more than all");
        }
        return {value};
    }
};

template <>
struct forkflow_test::random_maker<forkflow_fuzz::page> {
    static forkflow_fuzz::page make(random_source& source) {
        return {random_value<std::string>(source), random_value<std::vector<int>>(source),
                random_value<bool>(source),
                random_value<std::optional<std::map<std::string, double>>>(source)};
    }
};
template <>
struct forkflow_test::random_maker<forkflow_fuzz::listed> {
    static forkflow_fuzz::listed make(random_source& source) {
        forkflow_fuzz::listed made;
        made.name = random_value<std::string>(source);
        made.pages = random_value<std::vector<forkflow_fuzz::page>>(source);
        made.hidden_ = random_value<std::shared_ptr<forkflow_fuzz::page>>(source);
        return made;
    }
};
template <>
struct forkflow_test::random_maker<forkflow_fuzz::chain> {
    static forkflow_fuzz::chain make(random_source& source) {
        forkflow_fuzz::chain last;
        for (std::size_t i = random_below(source, 100); i != 0; --i) {
            last = {std::make_unique<forkflow_fuzz::chain>(std::move(last))};
        }
        return last;
    }
};
template <>
struct forkflow_test::random_maker<forkflow_fuzz::percentage> {
    static forkflow_fuzz::percentage make(random_source& source) {
        return {static_cast<unsigned char>(random_below(source, 101))};
    }
};

namespace forkflow_fuzz {

using user_types_tier =
    tier<round_trip<page>, round_trip<std::vector<page>>, round_trip<listed>, round_trip<codec_types::tree>,
         round_trip<chain>, round_trip<std::vector<percentage>>,
         round_trip<std::map<int, std::optional<listed>>>>;

} // namespace forkflow_fuzz
