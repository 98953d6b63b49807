#include "net/session.h"

#include <httplib.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <optional>
#include <utility>

#include "base/json_text.h"
#include "net/request_head.h"

namespace tidemark::net {
namespace {

// What is read from the socket at once beyond a head: a TLS record's worth.
constexpr std::size_t kReadBytes = std::size_t{16} * 1024;
// Buffers that grew beyond this are given back after a request: most connections are idle.
constexpr std::size_t kKeptBytes = std::size_t{16} * 1024;
// How long, and for how much, a connection that we close listens for the peer's own end: enough
// for a peer that is still sending a body to read why it was refused.
constexpr std::chrono::milliseconds kLingerTime{500};
constexpr std::size_t kLingerBytes = std::size_t{8} * 1024 * 1024;

constexpr std::string_view kHeadEnd = "\r\n\r\n";

// Bytes of large bodies, counted against the bound that all connections share.
class BufferBudget {
 public:
  BufferBudget(std::atomic<std::size_t>& used, std::size_t max) : used_(used), max_(max) {}
  ~BufferBudget() { used_.fetch_sub(held_); }
  BufferBudget(const BufferBudget&) = delete;
  BufferBudget& operator=(const BufferBudget&) = delete;

  // False, and nothing taken, where the bound is reached.
  bool grow_to(std::size_t bytes) {
    const std::size_t more = bytes - held_;
    if (used_.fetch_add(more) + more > max_) {
      used_.fetch_sub(more);
      return false;
    }
    held_ = bytes;
    return true;
  }

 private:
  std::atomic<std::size_t>& used_;
  const std::size_t max_;
  std::size_t held_ = 0;
};

class InFlight {
 public:
  explicit InFlight(std::atomic<std::size_t>& count) : count_(count) { count_.fetch_add(1); }
  ~InFlight() { count_.fetch_sub(1); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  std::atomic<std::size_t>& count_;
};

// httplib's view of a request that is in memory already; the answer is collected in memory too, so
// that head and body leave in one write. socket() is -1: httplib never touches the descriptor.
class MemoryStream final : public httplib::Stream {
 public:
  MemoryStream(std::string_view input, std::string& output) : input_(input), output_(output) {}

  using httplib::Stream::write;
  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* into, std::size_t size) override {
    const std::size_t taken = std::min(size, input_.size());
    std::memcpy(into, input_.data(), taken);
    input_.remove_prefix(taken);
    return static_cast<ssize_t>(taken);
  }
  ssize_t write(const char* bytes, std::size_t size) override {
    output_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  void get_local_ip_and_port(std::string& /*ip*/, int& /*port*/) const override {}
  socket_t socket() const override { return -1; }

 private:
  std::string_view input_;
  std::string& output_;
};

Response error_response(int status, std::string_view message) {
  return {.status = status,
          .headers = {{.name = "Content-Type", .value = "application/json"}},
          .body = "{\"error\":" + json_quote(message) + "}\n"};
}

// Framing: httplib parses a request line (path decoding) and writes the answer. It is given that
// line alone, never the client's headers: its header parser decodes percent signs, compresses for
// Accept-Encoding and runs a recursive regex on Range. One of these per connection, so that its
// callbacks know their request without a thread-local variable.
class Framer final : private httplib::Server {
 public:
  Framer() {
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      answered_ = true;
      Response answer = (*produce_)(request.path);
      response.status = answer.status;
      for (Header& header : answer.headers) response.set_header(header.name, header.value);
      response.body = std::move(answer.body);
      return HandlerResponse::Handled;
    });
    // Just before the head is written: the last moment to decide about the connection.
    set_post_routing_handler([this](const httplib::Request&, httplib::Response& response) {
      response.headers.erase("Keep-Alive");
      response.headers.erase("Accept-Ranges");
      response.headers.erase("Connection");
      if (response.status == 204 || response.status == 304)
        response.headers.erase("Content-Length");
      closes_ = (*close_)();
      if (closes_) response.set_header("Connection", "close");
    });
  }

  using Produce = std::function<Response(const std::string& path)>;
  using Close = std::function<bool()>;

  // Appends the whole answer to `output`; false if the connection must end after it.
  bool frame(std::string_view method, std::string_view path, const Produce& produce,
             const Close& close, std::string& output) {
    line_.assign(method).append(" ").append(path).append(" HTTP/1.1\r\n\r\n");
    produce_ = &produce;
    close_ = &close;
    answered_ = false;
    closes_ = true;
    MemoryStream stream(line_, output);
    const bool framed = process(stream);
    produce_ = nullptr;
    close_ = nullptr;
    return framed && answered_ && !closes_;
  }

 private:
  // process_request took the addresses from the stream up to httplib 0.15, then as arguments.
  template <typename S>
  bool process(S& stream) {
    bool closed = false;
    if constexpr (requires { this->process_request(stream, false, closed, nullptr); }) {
      return this->process_request(stream, false, closed, nullptr);
    } else {
      return this->process_request(stream, std::string(), 0, std::string(), 0, false, closed,
                                   nullptr);
    }
  }

  std::string line_;
  const Produce* produce_ = nullptr;
  const Close* close_ = nullptr;
  bool answered_ = false;
  bool closes_ = true;
};

class Session {
 public:
  Session(ServerState& server, Fd socket)
      : server_(server),
        options_(server.options),
        connection_(std::move(socket), server.wake.get(), server.stop.get_token()) {}

  void serve() {
    if (options_.certificate != nullptr) {
      const Status accepted = connection_.accept_tls(options_.certificate->context(),
                                                     Deadline::after(options_.handshake_timeout));
      if (!accepted) {
        server_.log.debug("TLS handshake failed", {{"cause", accepted.error().message}});
        return;
      }
    }
    while (wait_for_request() && serve_request()) {
    }
  }

 private:
  // False when the connection was idle for too long, closed, or the server stops.
  bool wait_for_request() {
    if (!input_.empty()) return true;  // pipelined
    const auto waited = connection_.wait_readable(Deadline::after(options_.idle_timeout));
    return waited && *waited == Connection::Wait::kReadable;
  }

  // One request and its answer; false if the connection ends here.
  bool serve_request() {
    const Deadline deadline = Deadline::after(options_.request_timeout);
    std::size_t head_bytes = 0;
    if (Status read = read_head(head_bytes, deadline); !read) return refuse_unread(read.error());
    if (head_bytes == 0) return refuse({.status = 431, .message = "request head too large"});

    auto head =
        parse_request_head(std::string_view(input_).substr(0, head_bytes), options_.max_body_bytes);
    if (!head) return refuse(head.error());

    const InFlight counted(server_.in_flight);
    BufferBudget budget(server_.buffered_bytes, options_.max_buffered_bytes);
    std::string body;
    if (Status read = read_body(head_bytes, head->content_length, budget, body, deadline); !read) {
      return refuse_unread(read.error());
    }
    const Framer::Produce produce = [&](const std::string& path) {
      return call_handler({.method = head->method,
                           .path = path,
                           .query = head->query,
                           .headers = head->headers,
                           .body = body});
    };
    const bool keep =
        answer(head->method, head->path, produce, [&] { return head->close || wants_to_close(); });
    const std::size_t used =
        head_bytes + std::min(head->content_length, input_.size() - head_bytes);
    input_.erase(0, used);
    if (input_.capacity() > kKeptBytes && input_.empty()) std::string().swap(input_);
    return keep;
  }

  bool wants_to_close() const {
    return server_.draining || server_.connections > options_.soft_max_connections;
  }

  // Reads until `input_` holds a whole head and says how long it is; 0 if it is longer than
  // allowed.
  Status read_head(std::size_t& head_bytes, Deadline deadline) {
    std::size_t searched = 0;
    for (;;) {
      const std::size_t end = input_.find(kHeadEnd, searched);
      if (end != std::string::npos) {
        const std::size_t bytes = end + kHeadEnd.size();
        head_bytes = bytes <= options_.max_head_bytes ? bytes : 0;
        return {};
      }
      if (input_.size() >= options_.max_head_bytes) return {};
      searched = input_.size() < kHeadEnd.size() ? 0 : input_.size() - kHeadEnd.size() + 1;

      const std::size_t before = input_.size();
      input_.resize(before + kReadBytes);
      const auto got = connection_.read(std::span(input_).subspan(before), deadline);
      input_.resize(before + got.value_or(0));
      if (!got) return fail(got.error());
      if (*got == 0) return fail(ErrorKind::kUnavailable, "closed");
    }
  }

  // The body begins in what was read with the head. Its buffer grows as bytes arrive, not as they
  // are promised: a Content-Length costs the peer nothing.
  Status read_body(std::size_t head_bytes, std::size_t length, BufferBudget& budget,
                   std::string& body, Deadline deadline) {
    const std::size_t buffered = std::min(length, input_.size() - head_bytes);
    std::size_t have = buffered;
    body.assign(input_, head_bytes, buffered);
    while (have < length) {
      if (have == body.size()) {
        const std::size_t size = std::min(length, std::max(kSmallBodyBytes, 2 * have));
        if (size > kSmallBodyBytes && !budget.grow_to(size)) {
          return fail(ErrorKind::kTooMany, "too many large requests at once");
        }
        body.resize(size);
      }
      const auto got = connection_.read(std::span(body).subspan(have), deadline);
      if (!got) return fail(got.error());
      if (*got == 0) return fail(ErrorKind::kUnavailable, "closed");
      have += *got;
    }
    return {};
  }

  Response call_handler(const ServerRequest& request) {
    try {
      return server_.handler(request);
    } catch (const std::exception& error) {
      server_.log.error("handler failed", {{"path", request.path}, {"cause", error.what()}});
    } catch (...) {
      server_.log.error("handler failed", {{"path", request.path}});
    }
    return error_response(500, "internal error");
  }

  // Frames and sends; false if the connection ends after it.
  bool answer(std::string_view method, std::string_view path, const Framer::Produce& produce,
              const Framer::Close& close) {
    output_.clear();
    const bool keep = framer_.frame(method, path, produce, close, output_);
    const Status written = connection_.write(output_, Deadline::after(options_.write_timeout));
    if (output_.capacity() > kKeptBytes) std::string().swap(output_);
    if (written && !keep) connection_.finish(Deadline::after(kLingerTime), kLingerBytes);
    return written && keep;
  }

  bool refuse(const Refusal& refusal) {
    const Framer::Produce produce = [&refusal](const std::string&) {
      return error_response(refusal.status, refusal.message);
    };
    return answer("GET", "/", produce, [] { return true; });
  }

  // A request that did not arrive whole: told why where the peer may still listen.
  bool refuse_unread(const Error& error) {
    if (error.kind == ErrorKind::kTooMany) return refuse({.status = 503, .message = error.message});
    if (error.kind == ErrorKind::kTimeout) {
      return refuse({.status = 408, .message = "the request did not arrive in time"});
    }
    return false;
  }

  ServerState& server_;
  const ServerOptions& options_;
  Connection connection_;
  Framer framer_;
  std::string input_;  // what was read and not yet served
  std::string output_;
};

}  // namespace

void serve_connection(ServerState& server, Fd socket) {
  Session(server, std::move(socket)).serve();
}

}  // namespace tidemark::net
