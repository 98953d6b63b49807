// Metrics: what a program counts about itself, in Prometheus' terms.
//
//   Metrics metrics;
//   CounterFamily admissions = metrics.counter("tidemark_admissions_total", "Admissions by ...");
//   Counter allowed = admissions.with({{"outcome", "stamped"}});
//   allowed.add();
//
// Purpose: hides prometheus-cpp, so that its headers stay in one .cc file. Names follow Prometheus'
// conventions: tidemark_ prefix, base units (_seconds, _bytes), _total for counters.
// Thread-safety: everything here may be used from any thread. with() takes a lock and allocates:
// on hot paths keep the returned handle. Ownership: Metrics owns all series; families and handles
// are views and must not outlive it. Label values must come from a bounded set.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
template <typename T>
class Family;
}  // namespace prometheus

namespace tidemark {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  void add(double amount = 1.0) const;
  double value() const;

 private:
  friend class CounterFamily;
  explicit Counter(prometheus::Counter* series) : series_(series) {}
  prometheus::Counter* series_;
};

class Gauge {
 public:
  void set(double value) const;
  void add(double amount) const;
  double value() const;

 private:
  friend class GaugeFamily;
  explicit Gauge(prometheus::Gauge* series) : series_(series) {}
  prometheus::Gauge* series_;
};

class Histogram {
 public:
  void observe(double value) const;

 private:
  friend class HistogramFamily;
  explicit Histogram(prometheus::Histogram* series) : series_(series) {}
  prometheus::Histogram* series_;
};

class CounterFamily {
 public:
  Counter with(const Labels& labels = {}) const;

 private:
  friend class Metrics;
  explicit CounterFamily(prometheus::Family<prometheus::Counter>* family) : family_(family) {}
  prometheus::Family<prometheus::Counter>* family_;
};

class GaugeFamily {
 public:
  Gauge with(const Labels& labels = {}) const;

 private:
  friend class Metrics;
  explicit GaugeFamily(prometheus::Family<prometheus::Gauge>* family) : family_(family) {}
  prometheus::Family<prometheus::Gauge>* family_;
};

class HistogramFamily {
 public:
  Histogram with(const Labels& labels = {}) const;

 private:
  friend class Metrics;
  HistogramFamily(prometheus::Family<prometheus::Histogram>* family, std::vector<double> bounds)
      : family_(family), bounds_(std::move(bounds)) {}
  prometheus::Family<prometheus::Histogram>* family_;
  std::vector<double> bounds_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Asking twice for the same name and help gives the same family.
  CounterFamily counter(const std::string& name, const std::string& help);
  GaugeFamily gauge(const std::string& name, const std::string& help);
  // `bounds`: upper bounds of the buckets, ascending, in the metric's base unit.
  HistogramFamily histogram(const std::string& name, const std::string& help,
                            std::vector<double> bounds);

  // All series in the text exposition format 0.0.4, for GET /metrics.
  std::string expose() const;

 private:
  std::unique_ptr<prometheus::Registry> registry_;
};

// 0.5 ms to 10 s: from a cache hit to the longest admission timeout of Kubernetes.
std::vector<double> latency_bounds_seconds();

}  // namespace tidemark
