// ResponseReader: one HTTP/1.1 answer, read from a Connection piece by piece.
//
// Purpose: framing and bounds of the client side. cpp-httplib's ClientImpl cannot do this part: it
// matches the status line with a recursive std::regex, and a reason phrase of 1,000 bytes overflows
// the 256 KiB stack of a server's thread (0.11.4: SIGSEGV, the sender being any registry that an
// image name chooses); it waits for a body after 304, takes 103 for the answer, reads headers of
// any size, and takes "Content-Length: abc" for 0. A guard in front of it that prevented all this
// would be this file, with the chunk decoder left out.
// Thread-safety: one thread. Ownership: borrows the connection, which must outlive it.
// Errors: those of Connection; kTooLarge for a head over kMaxResponseHeadBytes; kUnavailable for an
// answer that is cut short or is not HTTP/1.1 (another try may reach a healthier server).
// Source: RFC 9112, read strictly: no bare LF, no folded lines, no ambiguous length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "net/connection.h"
#include "net/http.h"

namespace tidemark::net {

// As design section 8 has it for both sides: 8 times what registries and the API server send.
inline constexpr std::size_t kMaxResponseHeadBytes = std::size_t{16} * 1024;

class ResponseReader {
 public:
  // `method` of the request decides whether a body follows (HEAD) and what 2xx means (CONNECT).
  ResponseReader(Connection& connection, std::string_view method);

  // Status and headers of the final answer; interim ones (1xx) are skipped.
  Result<Response> read_head(Deadline deadline);

  // The body that belongs to the head, to its end or until `sink` answers false. `next_deadline`
  // is asked before each wait for bytes: a fixed deadline, or one that moves on with the stream.
  Status read_body(const std::function<Deadline()>& next_deadline, const HttpClient::Sink& sink);

  // Known after read_head() where the length was announced.
  std::optional<std::uint64_t> body_length() const;
  // Has the peer answered anything at all? If not, the request may be sent again.
  bool any_byte() const { return any_byte_; }
  // The answer was read to its end, nothing follows it, and the peer keeps the connection.
  bool reusable() const { return complete_ && keep_alive_ && begin_ == end_; }
  // Bytes that were read past the head.
  bool has_leftover() const { return begin_ != end_; }

 private:
  enum class Framing { kNone, kLength, kChunked, kUntilClose };
  using NextDeadline = std::function<Deadline()>;

  // At least one more byte in the buffer; 0 at the end of the stream.
  Result<std::size_t> fill(Deadline deadline);
  std::string_view buffered() const;
  Result<Response> parse_head(std::string_view head);
  Status decide_framing(const Response& head);
  // The next `count` bytes in pieces; false where the sink wants no more.
  Result<bool> pass_on(std::uint64_t count, const NextDeadline& next, const HttpClient::Sink& sink);
  Status read_chunks(const NextDeadline& next, const HttpClient::Sink& sink);
  Status read_until_close(const NextDeadline& next, const HttpClient::Sink& sink);
  // A line without its CRLF, at most kMaxChunkLineBytes long; valid until the next fill().
  Result<std::string_view> read_line(const NextDeadline& next);

  Connection& connection_;
  const bool head_request_;
  const bool connect_request_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what was read and not yet used
  std::size_t end_ = 0;
  Framing framing_ = Framing::kNone;
  std::uint64_t length_ = 0;
  bool http_1_1_ = true;
  bool any_byte_ = false;
  bool keep_alive_ = false;
  bool complete_ = false;
};

}  // namespace tidemark::net
