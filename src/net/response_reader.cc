#include "net/response_reader.h"

#include <algorithm>
#include <charconv>
#include <ranges>
#include <utility>

namespace tidemark::net {
namespace {

// Interim answers (100, 103) that a server may send before the one that counts.
constexpr int kMaxInterimAnswers = 8;
// A chunk's size has 16 hex digits at most; extensions are allowed but nobody sends them.
constexpr std::size_t kMaxChunkLineBytes = 256;
constexpr std::string_view kHeadEnd = "\r\n\r\n";

std::unexpected<Error> malformed(std::string_view what) {
  return fail(ErrorKind::kUnavailable, "malformed HTTP answer: " + std::string(what));
}

std::unexpected<Error> cut_short() {
  return fail(ErrorKind::kUnavailable, "connection closed before the end of the answer");
}

bool is_token(std::string_view text) {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kSymbols.contains(c);
  });
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool equal_ignoring_case(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(left, right, {}, lower, lower);
}

// The whole of `text` as a number without sign; base 10 or 16.
std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool has_option(const Headers& headers, std::string_view name, std::string_view option) {
  return std::ranges::any_of(find_headers(headers, name), [&](std::string_view value) {
    return std::ranges::any_of(value | std::views::split(','), [&](const auto part) {
      return equal_ignoring_case(trim(std::string_view(part.begin(), part.end())), option);
    });
  });
}

}  // namespace

ResponseReader::ResponseReader(Connection& connection, std::string_view method)
    : connection_(connection),
      head_request_(method == "HEAD"),
      connect_request_(method == "CONNECT"),
      buffer_(kMaxResponseHeadBytes, '\0') {}

std::string_view ResponseReader::buffered() const {
  return std::string_view(buffer_).substr(begin_, end_ - begin_);
}

Result<std::size_t> ResponseReader::fill(Deadline deadline) {
  if (begin_ > 0) {
    buffer_.replace(0, end_ - begin_, buffer_, begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  auto got = connection_.read(std::span(buffer_).subspan(end_), deadline);
  if (!got) return got;
  end_ += *got;
  any_byte_ = any_byte_ || *got > 0;
  return got;
}

Result<Response> ResponseReader::read_head(Deadline deadline) {
  for (int interim = 0; interim <= kMaxInterimAnswers; ++interim) {
    std::size_t searched = 0;
    std::size_t found = std::string_view::npos;
    while ((found = buffered().find(kHeadEnd, searched)) == std::string_view::npos) {
      // What is not HTTP at all (a TLS port, an SSH server) need not be waited for.
      const std::string_view start = buffered().substr(0, 7);
      if (start != std::string_view("HTTP/1.").substr(0, start.size())) {
        return malformed("no HTTP/1 status line");
      }
      if (buffered().size() == kMaxResponseHeadBytes) {
        return fail(ErrorKind::kTooLarge,
                    "head of the answer over " + std::to_string(kMaxResponseHeadBytes) + " bytes");
      }
      searched = buffered().size() - std::min(buffered().size(), kHeadEnd.size() - 1);
      auto got = fill(deadline);
      if (!got) return fail(std::move(got.error()));
      if (*got == 0) {
        if (any_byte_) return cut_short();
        return fail(ErrorKind::kUnavailable, "connection closed without an answer");
      }
    }
    auto head = parse_head(buffered().substr(0, found + 2));
    if (!head) return head;
    begin_ += found + kHeadEnd.size();
    if (head->status >= 200) {
      if (Status framed = decide_framing(*head); !framed) return fail(std::move(framed.error()));
      return head;
    }
    if (head->status == 101) return malformed("a protocol switch that was not asked for");
  }
  return malformed("too many interim answers");
}

// `head`: the status line and header lines, each with its CRLF.
Result<Response> ResponseReader::parse_head(std::string_view head) {
  const auto next_line = [&head] {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    return line;
  };
  // HTTP/1.1 200 OK: the reason may be empty, some servers leave its space out as well.
  const std::string_view status_line = next_line();
  const auto status =
      number(status_line.substr(std::min<std::size_t>(9, status_line.size()), 3), 10);
  const bool well_formed = status_line.size() >= 12 && status_line.starts_with("HTTP/1.") &&
                           (status_line[7] == '0' || status_line[7] == '1') &&
                           status_line[8] == ' ' &&
                           (status_line.size() == 12 || status_line[12] == ' ');
  if (!well_formed || !status || *status < 100 || *status > 599) return malformed("status line");
  http_1_1_ = status_line[7] == '1';

  Response response{.status = static_cast<int>(*status), .headers = {}, .body = {}};
  while (!head.empty()) {
    const std::string_view line = next_line();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return malformed("header line");
    }
    const std::string_view value = trim(line.substr(colon + 1));
    const bool clean = std::ranges::none_of(value, [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    if (!clean) return malformed("control character in a header");
    response.headers.push_back(
        {.name = std::string(line.substr(0, colon)), .value = std::string(value)});
  }
  return response;
}

// RFC 9112, 6.3, in its order.
Status ResponseReader::decide_framing(const Response& head) {
  keep_alive_ = http_1_1_ && !has_option(head.headers, "Connection", "close");
  const bool tunnel = connect_request_ && head.status / 100 == 2;
  if (head_request_ || tunnel || head.status == 204 || head.status == 304) {
    framing_ = Framing::kNone;
    return {};
  }
  const auto codings = find_headers(head.headers, "Transfer-Encoding");
  const auto lengths = find_headers(head.headers, "Content-Length");
  if (!codings.empty()) {
    if (!lengths.empty() || !http_1_1_) return malformed("ambiguous length");
    if (codings.size() != 1 || !equal_ignoring_case(codings[0], "chunked")) {
      return malformed("transfer coding other than chunked");
    }
    framing_ = Framing::kChunked;
    return {};
  }
  if (!lengths.empty()) {
    const auto length = number(lengths[0], 10);
    const bool same = std::ranges::all_of(lengths, [&](auto v) { return v == lengths[0]; });
    if (!length || !same) return malformed("Content-Length");
    framing_ = Framing::kLength;
    length_ = *length;
    return {};
  }
  framing_ = Framing::kUntilClose;
  keep_alive_ = false;
  return {};
}

std::optional<std::uint64_t> ResponseReader::body_length() const {
  if (framing_ != Framing::kLength) return std::nullopt;
  return length_;
}

Status ResponseReader::read_body(const NextDeadline& next_deadline, const HttpClient::Sink& sink) {
  switch (framing_) {
    case Framing::kNone:
      complete_ = true;
      return {};
    case Framing::kLength: {
      auto passed = pass_on(length_, next_deadline, sink);
      if (!passed) return fail(std::move(passed.error()));
      complete_ = *passed;
      return {};
    }
    case Framing::kChunked:
      return read_chunks(next_deadline, sink);
    case Framing::kUntilClose:
      return read_until_close(next_deadline, sink);
  }
  return {};
}

Result<bool> ResponseReader::pass_on(std::uint64_t count, const NextDeadline& next,
                                     const HttpClient::Sink& sink) {
  while (count > 0) {
    if (begin_ == end_) {
      auto got = fill(next());
      if (!got) return fail(std::move(got.error()));
      if (*got == 0) return cut_short();
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(end_ - begin_, count));
    const std::string_view piece = buffered().substr(0, size);
    begin_ += size;
    count -= size;
    if (!sink(piece)) return false;
  }
  return true;
}

Status ResponseReader::read_chunks(const NextDeadline& next, const HttpClient::Sink& sink) {
  for (;;) {
    const auto line = read_line(next);
    if (!line) return fail(line.error());
    const auto size = number(trim(line->substr(0, line->find(';'))), 16);
    if (!size) return malformed("chunk size");
    if (*size == 0) break;
    const auto passed = pass_on(*size, next, sink);
    if (!passed) return fail(passed.error());
    if (!*passed) return {};
    const auto end = read_line(next);
    if (!end) return fail(end.error());
    if (!end->empty()) return malformed("chunk longer than its size");
  }
  // Trailers say nothing to us, but their end is the end of the answer.
  for (std::size_t trailer_bytes = 0; trailer_bytes <= kMaxResponseHeadBytes;) {
    const auto line = read_line(next);
    if (!line) return fail(line.error());
    if (line->empty()) {
      complete_ = true;
      return {};
    }
    trailer_bytes += line->size() + 2;
  }
  return fail(ErrorKind::kTooLarge, "trailers of the answer over 16 KiB");
}

Status ResponseReader::read_until_close(const NextDeadline& next, const HttpClient::Sink& sink) {
  for (;;) {
    if (begin_ != end_) {
      const std::string_view piece = buffered();
      begin_ = end_;
      if (!sink(piece)) return {};
    }
    const auto got = fill(next());
    if (!got) return fail(got.error());
    if (*got == 0) {
      complete_ = true;
      return {};
    }
  }
}

Result<std::string_view> ResponseReader::read_line(const NextDeadline& next) {
  for (;;) {
    const std::size_t end = buffered().find("\r\n");
    if (end <= kMaxChunkLineBytes) {  // npos is not
      const std::string_view line = buffered().substr(0, end);
      begin_ += end + 2;
      return line;
    }
    if (buffered().size() > kMaxChunkLineBytes + 1) return malformed("line of a chunk too long");
    const auto got = fill(next());
    if (!got) return fail(got.error());
    if (*got == 0) return cut_short();
  }
}

}  // namespace tidemark::net
