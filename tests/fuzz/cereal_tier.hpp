// SPDX-License-Identifier: MIT
// Types that go through cereal.
#pragma once

#include "cases.hpp"

#include <forkflow/cereal.hpp>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace forkflow_fuzz {

struct customer {
    std::string name;
    std::map<std::string, std::vector<double>> orders;
    std::optional<bool> active;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(name, orders, active);
    }
};

struct node {
    int value = 0;
    std::vector<node> children;
    std::unique_ptr<node> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value, children, next);
    }
};

// Shared pointers of which the bytes might mix up the types; none that could close a ring, which would leak.
struct shares {
    std::shared_ptr<customer> first;
    std::vector<std::shared_ptr<std::string>> names;
    std::shared_ptr<std::vector<double>> numbers;
    std::shared_ptr<customer> again;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(first, names, numbers, again);
    }
};

} // namespace forkflow_fuzz

template <>
struct forkflow_test::random_maker<forkflow_fuzz::customer> {
    static forkflow_fuzz::customer make(random_source& source) {
        return {random_value<std::string>(source),
                random_value<std::map<std::string, std::vector<double>>>(source),
                random_value<std::optional<bool>>(source)};
    }
};
template <>
struct forkflow_test::random_maker<forkflow_fuzz::node> {
    static forkflow_fuzz::node make(random_source& source) {
        forkflow_fuzz::node made{random_value<int>(source), {}, nullptr};
        for (std::size_t i = random_below(source, 4) % 3; i != 0; --i) {
            made.children.push_back(make(source));
        }
        if (random_below(source, 3) == 0) {
            made.next = std::make_unique<forkflow_fuzz::node>(make(source));
        }
        return made;
    }
};
template <>
struct forkflow_test::random_maker<forkflow_fuzz::shares> {
    static forkflow_fuzz::shares make(random_source& source) {
        forkflow_fuzz::shares made{
            random_value<std::shared_ptr<forkflow_fuzz::customer>>(source),
            std::vector<std::shared_ptr<std::string>>(3, random_value<std::shared_ptr<std::string>>(source)),
            random_value<std::shared_ptr<std::vector<double>>>(source), nullptr};
        made.again = made.first;
        return made;
    }
};

namespace forkflow_fuzz {

using cereal_tier =
    tier<round_trip<customer>, round_trip<std::vector<customer>>, round_trip<node>, round_trip<shares>>;

} // namespace forkflow_fuzz
