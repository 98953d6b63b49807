#include "gitops/http_transport.h"

#include <fcntl.h>
#include <git2/transport.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "net/connection.h"

namespace tidemark::gitops {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMaxErrorBytes = std::size_t{16} * 1024;
// A server that packs a large repository may be silent for as long.
constexpr std::chrono::milliseconds kSilence = 60s;
constexpr int kMaxRedirects = 3;

struct Service {
  std::string_view name;
  bool references = false;  // asked for them, not spoken to
};

Service service_of(git_smart_service_t action) {
  switch (action) {
    case GIT_SERVICE_UPLOADPACK_LS:
      return {.name = "git-upload-pack", .references = true};
    case GIT_SERVICE_RECEIVEPACK_LS:
      return {.name = "git-receive-pack", .references = true};
    case GIT_SERVICE_RECEIVEPACK:
      return {.name = "git-receive-pack"};
    case GIT_SERVICE_UPLOADPACK:
      break;
  }
  return {.name = "git-upload-pack"};
}

Error system_error(const char* what) {
  return {.kind = ErrorKind::kInternal,
          .message = std::string(what) + ": " + std::system_category().message(errno)};
}

// One request and its answer. What libgit2 writes is the body; the first read sends it.
struct Stream : git_smart_subtransport_stream {
  HttpTransport* transport = nullptr;
  std::string url;
  git_smart_service_t action = GIT_SERVICE_UPLOADPACK_LS;
  std::string body;
  net::Fd file;
  bool asked = false;

  Stream() : git_smart_subtransport_stream{} {}

  Status send() {
    asked = true;
    file = net::Fd(::open(transport->spool().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file.valid()) return fail(system_error("no room for the server's answer"));
    if (auto sent = transport->ask(url, action, std::move(body), file.get()); !sent) return sent;
    if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail(system_error("the server's answer"));
    return {};
  }
};

struct Subtransport : git_smart_subtransport {
  HttpTransport* transport = nullptr;
  Subtransport() : git_smart_subtransport{} {}
};

// libgit2 calls these: no exception may pass, and it knows only that something failed.
template <typename Call>
int guarded(HttpTransport& transport, Call call) noexcept {
  try {
    Status done = call();
    if (done) return 0;
    transport.failed(std::move(done.error()));
  } catch (const std::exception& e) {
    transport.failed({.kind = ErrorKind::kInternal, .message = e.what()});
  }
  return -1;
}

int read(git_smart_subtransport_stream* stream, char* buffer, std::size_t size,
         std::size_t* bytes) {
  auto* self = static_cast<Stream*>(stream);
  return guarded(*self->transport, [&]() -> Status {
    if (!self->asked) {
      if (auto sent = self->send(); !sent) return sent;
    }
    const ssize_t got = ::read(self->file.get(), buffer, size);
    if (got < 0) return fail(system_error("the server's answer"));
    *bytes = static_cast<std::size_t>(got);
    return {};
  });
}

int write(git_smart_subtransport_stream* stream, const char* buffer, std::size_t size) {
  auto* self = static_cast<Stream*>(stream);
  return guarded(*self->transport, [&]() -> Status {
    // What is pushed is a commit of ours: some changed files.
    constexpr std::size_t kMaxRequestBytes = std::size_t{64} * 1024 * 1024;
    if (size > kMaxRequestBytes - self->body.size()) {
      return fail(ErrorKind::kTooLarge, "more than 64 MiB to push");
    }
    self->body.append(buffer, size);
    return {};
  });
}

void free_stream(git_smart_subtransport_stream* stream) {
  const std::unique_ptr<Stream> owned(static_cast<Stream*>(stream));
}

int act(git_smart_subtransport_stream** out, git_smart_subtransport* subtransport, const char* url,
        git_smart_service_t action) {
  HttpTransport& transport = *static_cast<Subtransport*>(subtransport)->transport;
  return guarded(transport, [&]() -> Status {
    auto stream = std::make_unique<Stream>();
    stream->subtransport = subtransport;
    stream->read = read;
    stream->write = write;
    stream->free = free_stream;
    stream->transport = &transport;
    stream->url = url;
    stream->action = action;
    *out = stream.release();  // libgit2 calls free_stream
    return {};
  });
}

int close(git_smart_subtransport* /*subtransport*/) { return 0; }

void free_subtransport(git_smart_subtransport* subtransport) {
  const std::unique_ptr<Subtransport> owned(static_cast<Subtransport*>(subtransport));
}

int make_subtransport(git_smart_subtransport** out, git_transport* /*owner*/, void* self) {
  auto* transport = static_cast<HttpTransport*>(self);
  return guarded(*transport, [&]() -> Status {
    auto made = std::make_unique<Subtransport>();
    made->action = act;
    made->close = close;
    made->free = free_subtransport;
    made->transport = transport;
    *out = made.release();  // libgit2 calls free_subtransport
    return {};
  });
}

Error refusal(const net::Response& answer, std::string_view service) {
  Error error{.kind = ErrorKind::kUnavailable,
              .message = "the server answers " + std::to_string(answer.status),
              .http_status = answer.status};
  if (answer.status == 401) {
    error.kind = ErrorKind::kUnauthorized;
    error.message += ": its credentials are missing or wrong";
  } else if (answer.status == 403) {
    error.kind = ErrorKind::kForbidden;
    error.message += service == "git-receive-pack" ? ": it does not let us push" : ": not for us";
  } else if (answer.status == 404) {
    error.kind = ErrorKind::kNotFound;
    error.message += ": no such repository, or none that these credentials may see";
  } else if (answer.status == 413) {
    error.kind = ErrorKind::kTooLarge;
  }
  return error;
}

// The repository's URL, of the one where its references are.
std::optional<std::string> without_references(std::string_view url) {
  const std::size_t at = url.find("/info/refs?service=");
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(url.substr(0, at));
}

}  // namespace

int HttpTransport::make(git_transport** out, git_remote* owner, void* self) {
  // rpc: each request stands alone.
  git_smart_subtransport_definition definition{
      .callback = make_subtransport, .rpc = 1, .param = self};
  return git_transport_smart(out, owner, &definition);
}

Result<net::Response> HttpTransport::send(const net::Request& request, int out) {
  std::uint64_t received = 0;
  std::optional<Error> broken;
  const auto keep = [&](std::string_view piece) {
    received += piece.size();
    if (received > max_bytes_) {
      broken =
          Error{.kind = ErrorKind::kTooLarge,
                .message = "the answer has more than " + std::to_string(max_bytes_) + " bytes"};
      return false;
    }
    while (!piece.empty()) {
      const ssize_t written = ::write(out, piece.data(), piece.size());
      if (written < 0) {
        broken = system_error("keeping the server's answer");
        return false;
      }
      piece.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  };
  auto answer = client_.stream(
      request, {.headers = deadline_.at_most(kSilence), .idle = kSilence, .whole = deadline_}, keep,
      stop_);
  if (broken) return fail(*broken);
  return answer;
}

Status HttpTransport::follow(net::Request& request, const net::Response& answer) {
  const std::string* location = net::find_header(answer.headers, "location");
  if (location == nullptr) return fail(ErrorKind::kUnavailable, "a redirect to nowhere");
  auto next = request.url.resolve(*location);
  if (!next) return fail(within("a redirect", next.error()));
  const bool upgraded = !request.url.tls && next->tls && next->host == request.url.host;
  if (!next->same_origin(request.url) && !upgraded) {
    return fail(ErrorKind::kForbidden, "the server redirects to another host, " + next->origin() +
                                           ", which gets no credentials: use its URL");
  }
  const auto from = without_references(request.url.str());
  const auto to = without_references(next->str());
  if (!from || !to) return fail(ErrorKind::kUnavailable, "a redirect to something else");
  if (moved_from_.empty()) moved_from_ = *from;
  moved_to_ = *to;
  request.url = std::move(*next);
  return {};
}

Status HttpTransport::ask(const std::string& url, git_smart_service_t action, std::string body,
                          int out) {
  const Service service = service_of(action);
  std::string base = !moved_from_.empty() && url == moved_from_ ? moved_to_ : url;
  const std::string name(service.name);
  auto target =
      net::Url::parse(base + (service.references ? "/info/refs?service=" + name : "/" + name));
  if (!target) return fail(target.error());
  net::Request request{.method = service.references ? "GET" : "POST",
                       .url = std::move(*target),
                       .headers = {},
                       .body = std::move(body),
                       .max_body_bytes = kMaxErrorBytes};
  if (!authorization_.empty()) request.headers.push_back({"Authorization", authorization_});
  if (!service.references) {
    request.headers.push_back({"Content-Type", "application/x-" + name + "-request"});
    request.headers.push_back({"Accept", "application/x-" + name + "-result"});
  }
  for (int redirects = 0;; ++redirects) {
    auto answer = send(request, out);
    if (!answer) return fail(answer.error());
    const bool redirect = answer->status >= 301 && answer->status <= 308;
    if (redirect && service.references && redirects < kMaxRedirects) {
      if (auto followed = follow(request, *answer); !followed) return followed;
      continue;
    }
    if (answer->status != 200) return fail(refusal(*answer, service.name));
    if (!service.references) return {};
    const std::string* type = net::find_header(answer->headers, "content-type");
    if (type != nullptr && type->starts_with("application/x-" + name + "-advertisement")) return {};
    return fail(ErrorKind::kInvalid, "it is no Git server that speaks the smart protocol");
  }
}

}  // namespace tidemark::gitops
