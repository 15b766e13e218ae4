// SPDX-License-Identifier: MIT
// What the standard library composes, nested.
#pragma once

#include "cases.hpp"

#include <deque>
#include <filesystem>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

namespace forkflow_fuzz {

using composites_tier =
    tier<round_trip<std::pair<bool, std::string>>, round_trip<std::tuple<char, double, std::string>>,
         round_trip<std::vector<std::tuple<>>>, round_trip<std::array<std::string, 3>>,
         round_trip<std::optional<std::optional<std::string>>>,
         round_trip<std::variant<std::monostate, int, std::vector<std::variant<bool, std::string>>>>,
         round_trip<std::vector<std::vector<std::vector<short>>>>, round_trip<std::deque<std::string>>,
         round_trip<std::list<std::optional<bool>>>, round_trip<std::forward_list<std::u16string>>,
         round_trip<std::set<std::string>>, round_trip<std::multiset<bool>>,
         round_trip<std::unordered_set<std::string>>, round_trip<std::unordered_multiset<int>>,
         round_trip<std::map<std::string, std::map<int, std::vector<bool>>>>,
         round_trip<std::multimap<bool, std::string>>,
         round_trip<std::unordered_map<int, std::unique_ptr<std::string>>>,
         round_trip<std::unordered_multimap<bool, std::shared_ptr<int>>>,
         round_trip<std::priority_queue<std::string>>, round_trip<std::vector<std::filesystem::path>>,
         round_trip<std::vector<std::pair<std::error_code, bool>>>>;

} // namespace forkflow_fuzz
