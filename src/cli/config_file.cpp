// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/settings.hpp"

#include <array>
#include <limits>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "cli/quantity.hpp"
#include "cli/text.hpp"

namespace flow29::cli {
namespace {

/// One value of the file, with what an error about it needs.
struct Setting {
    const toml::node& value;
    std::string_view key;
    std::string_view source;

    [[nodiscard]] tl::unexpected<Error> wrong(std::string_view why) const {
        return fail(Errc::usage,
                    fmt::format("{}:{}: {}{}", source, value.source().begin.line, key, why));
    }
};

Result<std::string> read_string(const Setting& setting) {
    if (const auto* const text = setting.value.as_string()) return text->get();
    return setting.wrong(" must be a string");
}

/// A string, or a list of them.
Result<std::vector<std::string>> read_strings(const Setting& setting) {
    std::vector<std::string> strings;
    if (const auto* const list = setting.value.as_array()) {
        for (const toml::node& element : *list) {
            const auto* const text = element.as_string();
            if (text == nullptr) return setting.wrong(" must be a list of strings");
            strings.push_back(text->get());
        }
        return strings;
    }
    if (const auto* const text = setting.value.as_string()) {
        strings.push_back(text->get());
        return strings;
    }
    return setting.wrong(" must be a string or a list of strings");
}

Result<std::uint64_t> read_number(const Setting& setting, NumberBounds bounds) {
    const auto* const number = setting.value.as_integer();
    if (number == nullptr || number->get() < 0 ||
        static_cast<std::uint64_t>(number->get()) < bounds.min ||
        static_cast<std::uint64_t>(number->get()) > bounds.max)
        return setting.wrong(
            fmt::format(" must be a whole number from {} to {}", bounds.min, bounds.max));
    return static_cast<std::uint64_t>(number->get());
}

/// A string that `parse` understands.
template <class T>
Result<T> read_parsed(const Setting& setting, Result<T> (*parse)(std::string_view),
                      std::string_view example) {
    const auto* const text = setting.value.as_string();
    if (text == nullptr) return setting.wrong(fmt::format(" must be a string such as {}", example));
    auto parsed = parse(text->get());
    if (!parsed) return setting.wrong(": " + parsed.error().message());
    return parsed;
}

/// A whole number of percent, or a string such as "50%".
Result<unsigned> read_percent(const Setting& setting) {
    if (setting.value.as_integer() == nullptr)
        return read_parsed(setting, parse_percent, "\"50%\"");
    const auto number = read_number(setting, {1, 100});
    if (!number) return fail(number.error());
    return static_cast<unsigned>(*number);
}

/// Moves a value that was read into place, or passes its error on.
template <class T, class Target>
Result<void> put(Result<T> read, Target& target) {
    if (!read) return fail(read.error());
    target = std::move(*read);
    return {};
}

template <class T, class Target>
Result<void> put_number(Result<std::uint64_t> read, Target& target) {
    if (!read) return fail(read.error());
    target = static_cast<T>(*read);
    return {};
}

Result<void> read_flag(const Setting& setting, bool& target) {
    const auto* const flag = setting.value.as_boolean();
    if (flag == nullptr) return setting.wrong(" must be true or false");
    target = flag->get();
    return {};
}

Result<void> read_quota_publisher(const Setting& setting, FileSettings& file) {
    return put(read_percent(setting), file.node.quota_publisher);
}
Result<void> read_quota_group(const Setting& setting, FileSettings& file) {
    return put(read_percent(setting), file.node.quota_group);
}

struct Key {
    std::string_view name;
    Result<void> (*read)(const Setting&, FileSettings&);
};

constexpr std::array keys{
    Key{"data",
        [](const Setting& s, FileSettings& file) { return put(read_string(s), file.data); }},
    Key{"bootstrap",
        [](const Setting& s, FileSettings& file) { return put(read_strings(s), file.bootstrap); }},
    Key{"swarm-key",
        [](const Setting& s, FileSettings& file) { return put(read_string(s), file.swarm_key); }},
    Key{"port",
        [](const Setting& s, FileSettings& file) {
            return put_number<std::uint16_t>(read_number(s, {0, 65'535}), file.node.port);
        }},
    Key{"listen", [](const Setting& s,
                     FileSettings& file) { return put(read_strings(s), file.node.listen); }},
    Key{"capacity",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_size, "\"50GiB\""), file.node.capacity);
        }},
    Key{"no-store",
        [](const Setting& s, FileSettings& file) { return read_flag(s, file.node.no_store); }},
    Key{"no-port-mapping",
        [](const Setting& s, FileSettings& file) {
            return read_flag(s, file.node.no_port_mapping);
        }},
    Key{"no-discovery",
        [](const Setting& s, FileSettings& file) { return read_flag(s, file.node.no_discovery); }},
    Key{"copies",
        [](const Setting& s, FileSettings& file) {
            return put_number<unsigned>(read_number(s, {1, limits::copies_max}), file.node.copies);
        }},
    Key{"grace",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_duration, "\"5m\""), file.node.grace);
        }},
    Key{"audit",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_duration, "\"1h\""), file.node.audit);
        }},
    // Under both spellings: as the option, and as settings are often written.
    Key{"quota-publisher", read_quota_publisher},
    Key{"quota_publisher", read_quota_publisher},
    Key{"quota-group", read_quota_group},
    Key{"quota_group", read_quota_group},
    Key{"repair-limit",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_rate, "\"5MiB\""), file.node.repair_limit);
        }},
    Key{"up-limit",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_line_rate, "\"2MiB\""), file.node.up_limit);
        }},
    Key{"down-limit",
        [](const Setting& s, FileSettings& file) {
            return put(read_parsed(s, parse_line_rate, "\"10MiB\""), file.node.down_limit);
        }},
    Key{"web",
        [](const Setting& s, FileSettings& file) { return put(read_string(s), file.node.web); }},
    Key{"gateway", [](const Setting& s,
                      FileSettings& file) { return put(read_string(s), file.node.gateway); }},
    Key{"control-group",
        [](const Setting& s, FileSettings& file) {
            return put(read_string(s), file.node.control_group);
        }},
    Key{"control-socket",
        [](const Setting& s, FileSettings& file) {
            return put(read_string(s), file.node.control_socket);
        }},
};

Result<void> read_setting(const Setting& setting, FileSettings& file) {
    std::vector<std::string> names;
    for (const Key& key : keys) {
        if (key.name == setting.key) return key.read(setting, file);
        names.emplace_back(key.name);
    }
    const auto meant = nearest(setting.key, names);
    return fail(Errc::usage,
                fmt::format("{}:{}: unknown key \"{}\"{}", setting.source,
                            setting.value.source().begin.line, setting.key,
                            meant ? fmt::format("; did you mean \"{}\"?", *meant) : std::string()));
}

}  // namespace

Result<FileSettings> parse_config(std::string_view text, std::string_view source) {
    FileSettings file;
    try {
        const toml::table root = toml::parse(text, source);
        for (const auto& [key, value] : root) {
            const Setting setting{value, key.str(), source};
            if (const auto read = read_setting(setting, file); !read) return fail(read.error());
        }
    } catch (const toml::parse_error& error) {
        return fail(Errc::usage,
                    fmt::format("{}:{}: {}; what is not a number, true or false stands "
                                "in quotes, as in capacity = \"50GiB\"",
                                source, error.source().begin.line, error.description()));
    }
    return file;
}

}  // namespace flow29::cli
