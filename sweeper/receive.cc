#include "sweeper/receive.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "net/answers.h"
#include "push/payload.h"

namespace tidemark::sweeper {
namespace {

constexpr std::string_view kPrefix = "/push/";

net::Response taken(std::size_t references) {
  return net::json_answer(200, "{\"references\":" + std::to_string(references) + "}\n");
}

std::vector<push::Header> headers_of(const net::Headers& headers) {
  std::vector<push::Header> out;
  for (const net::Header& header : headers) out.push_back({header.name, header.value});
  return out;
}

Result<push::Sender> read_sender(const config::ReceiverSource& source) {
  push::Sender sender{.proof = source.proof, .header = source.header};
  for (const auto& file : source.secret_files) {
    auto secret = read_secret_file(file);
    if (!secret) return fail(secret.error());
    sender.secrets.push_back(std::move(*secret));
  }
  return sender;
}

bool is_signed(push::Proof proof) { return proof != push::Proof::kToken; }

// Holds up to `burst`; refills as time goes by.
class Bucket {
 public:
  explicit Bucket(PushRate rate) : rate_(rate), left_(rate.burst) {}

  bool take(SteadyTime now) {
    if (last_ != SteadyTime()) {
      const std::chrono::duration<double> passed = now - last_;
      left_ = std::min(rate_.burst, left_ + passed.count() * rate_.per_second);
    }
    last_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  PushRate rate_;
  double left_;
  SteadyTime last_;
};

}  // namespace

struct Receiver::Source {
  Source(const config::ReceiverSource& from, push::Sender with, Metrics& metrics, PushRate rate)
      : name(from.name),
        format(from.format),
        names(from.names),
        sender(std::move(with)),
        posts(metrics.counter("tidemark_push_posts_total", "Posts to receivers by outcome")),
        references(metrics.counter("tidemark_push_references_total",
                                   "References that posts named, by what is known of them")),
        bucket(rate) {}

  void count(std::string_view outcome) const {
    posts.with({{"source", name}, {"outcome", std::string(outcome)}}).add();
  }
  void count_reference(Due::Added added) const {
    const char* known = added == Due::Added::kDue       ? "due"
                        : added == Due::Added::kUnknown ? "unknown"
                                                        : "dropped";
    references.with({{"source", name}, {"known", known}}).add();
  }

  const std::string name;
  const push::Format format;
  const push::Options names;
  const push::Sender sender;
  const CounterFamily posts;
  const CounterFamily references;

  std::mutex mutex;  // guards all below
  Bucket bucket;
  push::ReplayGuard replays{{}};
};

Receiver::Receiver(std::vector<Due*> due, const Clock& clock, Logger log)
    : due_(std::move(due)), clock_(clock), log_(std::move(log)) {}

Receiver::~Receiver() = default;

Result<std::unique_ptr<Receiver>> Receiver::make(const std::vector<config::ReceiverSource>& sources,
                                                 std::vector<Due*> due, const Clock& clock,
                                                 Metrics& metrics, Logger log, PushRate rate) {
  std::unique_ptr<Receiver> receiver(new Receiver(std::move(due), clock, std::move(log)));
  for (const config::ReceiverSource& source : sources) {
    auto sender = read_sender(source);
    if (!sender) return fail(within("receiver " + source.name, sender.error()));
    receiver->sources_.emplace(source.name,
                               std::make_unique<Source>(source, std::move(*sender), metrics, rate));
  }
  return receiver;
}

net::Response Receiver::answer(const net::ServerRequest& request) {
  std::string_view rest = request.path;
  if (!rest.starts_with(kPrefix)) return net::error_answer(404, "nothing here: POST /push/SOURCE");
  rest.remove_prefix(kPrefix.size());
  const std::string_view name = rest.substr(0, rest.find('/'));
  const auto source = sources_.find(name);
  if (source == sources_.end()) return net::error_answer(404, "no such source");
  if (request.method != "POST") {
    return net::wrong_method("POST");
  }
  rest.remove_prefix(std::min(name.size() + 1, rest.size()));
  return take(*source->second, request, rest);
}

net::Response Receiver::take(Source& source, const net::ServerRequest& request,
                             std::string_view token) {
  const SteadyTime now = clock_.steady_now();
  {
    const std::lock_guard lock(source.mutex);
    if (!source.bucket.take(now)) {
      source.count("too-many");
      net::Response response = net::error_answer(429, "more posts than a source may send");
      response.headers.push_back({"Retry-After", "1"});
      return response;
    }
  }
  const auto headers = headers_of(request.headers);
  if (auto proven = push::authenticate(source.sender, headers, token, request.body); !proven) {
    return refuse(source, proven.error());
  }
  if (!leading_) {
    source.count("not-leading");
    net::Response response = net::error_answer(503, "another replica leads");
    response.headers.push_back({"Retry-After", "1"});
    return response;
  }
  const auto references = push::parse_push(source.format, request.body, source.names);
  if (!references) return refuse(source, references.error());
  {
    const std::lock_guard lock(source.mutex);
    if (source.replays.seen(source.format, request.body, now)) {
      source.count("duplicate");
      // Who only has a token sends again where an answer was lost; a signed body can be recorded.
      return is_signed(source.sender.proof) ? net::error_answer(409, "posted before") : taken(0);
    }
    source.replays.remember(source.format, request.body, now);
  }
  for (const image::Reference& reference : *references) {
    // What one of those who wait knows is known.
    auto added = Due::Added::kFull;
    for (Due* due : due_) added = std::min(added, due->add(reference.tagged()));
    source.count_reference(added);
  }
  source.count(references->empty() ? "no-push" : "taken");
  return taken(references->size());
}

net::Response Receiver::refuse(Source& source, const Error& error) {
  const bool unproven = error.kind == ErrorKind::kUnauthorized;
  source.count(unproven ? "unauthorized" : "invalid");
  log_.debug("post refused", {{"source", source.name}, {"cause", error.message}});
  if (unproven) return net::error_answer(401, "no proof, or a wrong one");
  if (error.kind == ErrorKind::kTooLarge)
    return net::error_answer(413, "more than a post may hold");
  return net::error_answer(400, "no payload of this source's format");
}

}  // namespace tidemark::sweeper
