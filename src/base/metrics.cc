#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <sstream>

namespace tidemark {

void Counter::add(double amount) const { series_->Increment(amount); }
double Counter::value() const { return series_->Value(); }

void Gauge::set(double value) const { series_->Set(value); }
void Gauge::add(double amount) const { series_->Increment(amount); }
double Gauge::value() const { return series_->Value(); }

void Histogram::observe(double value) const { series_->Observe(value); }

Counter CounterFamily::with(const Labels& labels) const { return Counter(&family_->Add(labels)); }
Gauge GaugeFamily::with(const Labels& labels) const { return Gauge(&family_->Add(labels)); }
Histogram HistogramFamily::with(const Labels& labels) const {
  return Histogram(&family_->Add(labels, bounds_));
}

Metrics::Metrics()
    : registry_(
          std::make_unique<prometheus::Registry>(prometheus::Registry::InsertBehavior::Merge)) {}
Metrics::~Metrics() = default;

CounterFamily Metrics::counter(const std::string& name, const std::string& help) {
  return CounterFamily(&prometheus::BuildCounter().Name(name).Help(help).Register(*registry_));
}

GaugeFamily Metrics::gauge(const std::string& name, const std::string& help) {
  return GaugeFamily(&prometheus::BuildGauge().Name(name).Help(help).Register(*registry_));
}

HistogramFamily Metrics::histogram(const std::string& name, const std::string& help,
                                   std::vector<double> bounds) {
  return {&prometheus::BuildHistogram().Name(name).Help(help).Register(*registry_),
          std::move(bounds)};
}

std::string Metrics::expose() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry_->Collect());
  return out.str();
}

std::vector<double> latency_bounds_seconds() {
  return {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0};
}

}  // namespace tidemark
