// SPDX-License-Identifier: MIT
// images: makes small copies of pictures, with their tones spread from black to white.
//
//   read ─────────────► shrink ───────────────────────────► finish
//   input_node          forkflow::ordered_process_node      serial function_node
//   one file after      worker processes unpack, shrink,    writes each copy, in the order
//   another             and correct; any may crash          of the files
//
// Files come from anywhere, and libpng is C: a picture that crashes it, or never ends, costs itself and no
// other.
#include "pipeline.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace images;
namespace fs = std::filesystem;

constexpr std::string_view help =
    "images [--width PIXELS] [--workers N] --to FOLDER FILE|FOLDER...\n"
    "\n"
    "Writes to FOLDER a copy, as PGM or PPM, of each PNG, PGM and PPM given or found in a folder: at most "
    "PIXELS\n"
    "(1024) wide, with tones from black to white. N worker processes (one for each CPU) do the work.\n";

struct usage_error : std::runtime_error {
    using runtime_error::runtime_error;
};

struct command {
    settings chosen;
    fs::path to;
    std::vector<fs::path> from;
};

std::size_t number(std::string_view name, std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > 65535) {
        throw usage_error(std::string(name) + " needs a number from 1 to 65535");
    }
    return value;
}

command parse(const std::vector<std::string_view>& arguments) {
    command given;
    for (auto next = arguments.begin(); next != arguments.end(); ++next) {
        if (!next->starts_with("--")) {
            given.from.emplace_back(*next);
            continue;
        }
        const std::string_view name = *next;
        if (++next == arguments.end()) {
            throw usage_error(std::string(name) + " needs a value");
        }
        if (name == "--width") {
            given.chosen.width = number(name, *next);
        } else if (name == "--workers") {
            given.chosen.workers = number(name, *next);
        } else if (name == "--to") {
            given.to = *next;
        } else {
            throw usage_error("there is no " + std::string(name));
        }
    }
    if (given.to.empty() || given.from.empty()) {
        throw usage_error("--to and a file or folder are needed");
    }
    return given;
}

bool is_picture(const fs::path& path) {
    const std::string extension = path.extension();
    return extension == ".png" || extension == ".pgm" || extension == ".ppm";
}

/// In the order of their names. The name of a copy keeps that of its file, so that none replaces another.
std::vector<task> tasks_of(const command& given) {
    std::vector<task> tasks;
    const auto add = [&](const fs::path& file, const fs::path& name) {
        tasks.push_back({file, given.to / (name.native() + ".ppm")});
    };
    for (const fs::path& from : given.from) {
        if (!fs::is_directory(from)) {
            add(from, from.filename());
            continue;
        }
        for (const fs::directory_entry& each : fs::recursive_directory_iterator(from)) {
            if (each.is_regular_file() && is_picture(each.path())) {
                add(each.path(), fs::relative(each.path(), from));
            }
        }
    }
    std::ranges::sort(tasks, {}, &task::to);
    return tasks;
}

void print(const totals& done) {
    constexpr double mib = 1 << 20;
    const double in = static_cast<double>(done.request_bytes) / mib;
    const double out = static_cast<double>(done.result_bytes) / mib;
    std::printf("%lu pictures, %.1f MiB, to %.1f MiB in %.2f s: %.0f MiB/s; %lu failed\n",
                static_cast<unsigned long>(done.written + done.failed), in, out, done.time.count(),
                in / done.time.count(), static_cast<unsigned long>(done.failed));
    std::printf(
        "copied: %.1f MiB into requests, %.1f MiB out of results; in workers nothing, they read and write "
        "in place\n",
        in, out);
}

} // namespace

int main(int argc, char* argv[]) {
    try {
        const std::vector<std::string_view> arguments(argv + std::min(argc, 1), argv + argc);
        if (std::ranges::find(arguments, "--help") != arguments.end()) {
            std::cout << help;
            return 0;
        }
        const command given = parse(arguments);
        print(shrink_all(tasks_of(given), given.chosen, [](const task& one, const std::string& why) {
            std::cerr << one.from.native() << ": " << why << '\n';
        }));
        return 0;
    } catch (const usage_error& wrong) {
        std::cerr << "images: " << wrong.what() << "\n\n" << help;
        return 2;
    } catch (const std::exception& failed) {
        std::cerr << "images: " << failed.what() << '\n';
        return 1;
    }
}
