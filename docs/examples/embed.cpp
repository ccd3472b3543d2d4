// SPDX-License-Identifier: GPL-3.0-or-later
// Publishes a file and fetches it again, with two nodes inside this process.
//   g++ -std=c++20 embed.cpp -o embed $(pkg-config --cflags --libs flow29) && ./embed FILE COPY
#include <flow29/node.hpp>

#include <cstdio>
#include <filesystem>
#include <future>

using namespace flow29;

/// Starts an operation and waits for its result.
template <class T, class Begin>
T wait_for(Begin begin) {
    std::promise<Result<T>> promise;
    begin([&](Result<T> result) { promise.set_value(std::move(result)); });
    auto result = promise.get_future().get();
    if (result) return std::move(*result);
    std::fprintf(stderr, "embed: %s\n", result.error().message().c_str());
    std::exit(exit_code(result.error().code));
}

std::unique_ptr<Node> start(const std::filesystem::path& data, const char* address,
                            std::vector<std::string> bootstrap) {
    Config config;
    config.data = data;
    config.listen = {address};
    config.port = 0;
    config.bootstrap = std::move(bootstrap);
    auto node = Node::start(config);
    if (node) return std::move(*node);
    std::fprintf(stderr, "embed: %s\n", node.error().message().c_str());
    std::exit(exit_code(node.error().code));
}

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const auto data = std::filesystem::temp_directory_path() / "flow29-embed";
    const auto holder = start(data / "holder", "127.0.1.1", {});
    const auto mine =
        start(data / "mine", "127.0.2.1", {"127.0.1.1:" + std::to_string(holder->port())});

    PublishRequest publish;
    publish.path = std::filesystem::absolute(argv[1]);
    publish.name = publish.path.filename();
    publish.copies = 1;
    const auto published =
        wait_for<PublishResult>([&](auto done) { mine->publish(publish, {}, std::move(done)); });
    std::printf("%s\n", published.link.to_string().c_str());

    FetchRequest fetch;
    fetch.link = published.link;
    fetch.path = std::filesystem::absolute(argv[2]);
    const auto fetched =
        wait_for<FetchResult>([&](auto done) { holder->fetch(fetch, {}, std::move(done)); });
    std::printf("%llu bytes, verified\n", static_cast<unsigned long long>(fetched.bytes.value));
}
