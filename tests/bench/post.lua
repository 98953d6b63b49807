-- wrk posts the file that is named after "--" and prints one line of JSON: times in microseconds.
function init(arguments)
  local file = assert(io.open(arguments[1]))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  wrk.headers["Content-Type"] = "application/json"
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests":%d,"seconds":%f,"p50":%d,"p99":%d,"p999":%d,"max":%d,"errors":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), latency.max, errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
